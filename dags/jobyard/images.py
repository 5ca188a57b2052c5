"""Image names become digest-pinned URLs when a task runs, by an Airflow Variable that CI writes.

So a new image needs no new release, and every task of a run that starts later uses it.
"""

import json
from collections.abc import Collection

from jobyard.compat import Variable
from jobyard.contract import IMAGE_MACRO, images_variable, is_image_address
from jobyard.errors import ImageError, ImageSourceError, suggest


def image_field(image: str, registries: Collection[str] | None = None) -> str:
    """Return the operator's templated `image`: a URL as it is, a name as a call of the macro.

    Raises:
        ImageSourceError: the URL is of none of the registries.
    """
    if is_image_address(image):
        check_source(image, registries)
        return image
    return f"{{{{ {IMAGE_MACRO}({image!r}) }}}}"


def check_source(image: str, registries: Collection[str] | None) -> None:
    """Say early what the API server would say of the pod; without a list of registries, leave it to the API server.

    Raises:
        ImageSourceError: the URL is of none of the registries.
    """
    if registries is not None and not any(image.startswith(f"{registry}/") for registry in registries):
        raise ImageSourceError(image, registries)


class ImageLookup:
    """The macro of one team's DAGs: `{{ jobyard_image('inference') }}`."""

    def __init__(self, team: str, registries: Collection[str] | None = None) -> None:
        self.variable = images_variable(team)
        self.registries = registries

    def __call__(self, image: str) -> str:
        """Return the URL of the image.

        Raises:
            ImageError: no Variable, no such name in it, or it is not a JSON object of strings.
            ImageSourceError: the URL is of a registry that the environment does not take images from.
        """
        urls = self._urls(image)
        url = urls.get(image)
        if not url or not isinstance(url, str):
            raise ImageError(self.variable, image, f"no such key; {suggest(image, sorted(urls))}")
        check_source(url, self.registries)
        return url

    def _urls(self, image: str) -> dict[str, object]:
        text = Variable.get(self.variable, None)
        if text is None:
            reason = "it does not exist; publishing the team's images writes it"
            raise ImageError(self.variable, image, reason)
        try:
            urls = json.loads(text)
        except ValueError as error:
            raise ImageError(self.variable, image, f"it is not JSON: {error}") from error
        if not isinstance(urls, dict):
            raise ImageError(self.variable, image, "it is not a JSON object")
        return urls
