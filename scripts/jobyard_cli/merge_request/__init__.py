"""One comment on a merge request, put there once and replaced after that, by GitLab's API or GitHub's."""
