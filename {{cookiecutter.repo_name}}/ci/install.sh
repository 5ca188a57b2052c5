# Puts `jobyard` on PATH: the platform's repository at the commit that .cruft.json names, with the dependencies that its
# lock file names. Sourced by the pipeline's jobs: `. ci/install.sh`. Where a cache has both, it takes a moment.
#
# A private repository: JOBYARD_TEMPLATE_TOKEN, a token that may read it (or `user:token`). On the same GitLab the job's own
# token is taken; the platform's project has to allow this one for that.
set -e

noted() {
    python3 -c 'import json, sys; print(json.load(open(".cruft.json"))[sys.argv[1]])' "$1"
}

template=$(noted template)
commit=$(noted commit)
# Where `jobyard` itself looks for it.
platform=${XDG_CACHE_HOME:-$HOME/.cache}/jobyard/platform/$(printf %s "$template" | sha256sum | cut -c1-12)/$commit

fetch() {
    login=$JOBYARD_TEMPLATE_TOKEN
    case $template in
    "https://${CI_SERVER_HOST:-none}"/*) login=${login:-gitlab-ci-token:$CI_JOB_TOKEN} ;;
    esac
    case $login in
    "" | *:*) ;;
    *) login=oauth2:$login ;;
    esac
    # Git gets the token from its environment, so that no file and no command line has it.
    if [ -n "$login" ]; then
        GIT_CONFIG_COUNT=1
        GIT_CONFIG_KEY_0=http.$(printf %s "$template" | cut -d/ -f1-3)/.extraHeader
        GIT_CONFIG_VALUE_0="Authorization: Basic $(printf %s "$login" | base64 | tr -d '\n')"
        export GIT_CONFIG_COUNT GIT_CONFIG_KEY_0 GIT_CONFIG_VALUE_0
    fi
    git init --quiet "$1"
    git -C "$1" fetch --quiet --depth=1 -- "$template" "$commit"
    git -C "$1" checkout --quiet --detach FETCH_HEAD
}

if [ ! -d "$platform" ]; then
    rm -rf "$platform.partial"
    mkdir -p "$platform.partial"
    (fetch "$platform.partial")
    mv "$platform.partial" "$platform"
fi
# A virtual environment that was cached under another path names that path.
[ "$(cat "$platform/.installed" 2>/dev/null)" = "$platform" ] || rm -rf "$platform/.venv"
"$platform/scripts/bootstrap.sh" --no-dev
printf %s "$platform" >"$platform/.installed"
PATH=$platform/.venv/bin:$PATH
export PATH
[ -z "$GITHUB_PATH" ] || echo "$platform/.venv/bin" >>"$GITHUB_PATH"
