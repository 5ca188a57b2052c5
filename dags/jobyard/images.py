"""Image names become digest-pinned URLs when a task runs, by an Airflow Variable that CI writes.

So a new image needs no new release, and every task of a run that starts later uses it.
"""

import json

from jobyard.compat import Variable
from jobyard.errors import ImageError, suggest

MACRO = "jobyard_image"


def image_field(image: str) -> str:
    """Return the operator's templated `image`: a URL as it is, a name as a call of the macro."""
    if any(character in image for character in "/@:"):
        return image
    return f"{{{{ {MACRO}({image!r}) }}}}"


class ImageLookup:
    """The macro of one team's DAGs: `{{ jobyard_image('inference') }}`."""

    def __init__(self, team: str) -> None:
        self.variable = f"jobyard_images_{team}"

    def __call__(self, image: str) -> str:
        """Return the URL of the image.

        Raises:
            ImageError: no Variable, no such name in it, or it is not a JSON object of strings.
        """
        urls = self._urls(image)
        url = urls.get(image)
        if not url or not isinstance(url, str):
            raise ImageError(self.variable, image, f"no such key; {suggest(image, sorted(urls))}")
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
