# shellcheck shell=sh
# Puts `jobyard` on PATH: the platform's repository at the commit that .cruft.json names, with the dependencies that its
# lock file names; then fetches the platform's current branch, which has the team's bounds. Sourced by the pipeline's
# jobs: `. ci/install.sh`. Where a cache has both, it takes a moment.
#
# A private repository: JOBYARD_TEMPLATE_TOKEN, a token that may read it (or `user:token`). On the same GitLab the job's own
# token is taken; the platform's project has to allow this one for that. Another address than the one in .cruft.json:
# JOBYARD_PLATFORM_URL.
set -e

fail() {
    echo "ci/install.sh: $*" >&2
    exit 1
}

noted() {
    python3 - "$1" <<'END'
import json, sys
try:
    state = json.load(open(".cruft.json"))
    answered = state.get("context", {}).get("cookiecutter", {}).get("platform_url")
    print({"template": answered or state["template"], "commit": state["commit"]}[sys.argv[1]])
except (ValueError, LookupError, AttributeError) as error:
    sys.exit(f"ci/install.sh: .cruft.json can't be read ({error!r}): restore it from git")
END
}

# A server takes https from its own pipelines; the address that a person cloned from is often ssh.
as_https() {
    server=${CI_SERVER_URL:-$GITHUB_SERVER_URL}
    host=$(printf %s "${server#*://}" | cut -d/ -f1 | cut -d: -f1)
    case $1 in
    git@"${host:-none}":*) printf %s "$server/${1#*:}" ;;
    ssh://git@"${host:-none}"/* | ssh://git@"${host:-none}":*/*) printf %s "$server/${1#ssh://git@*/}" ;;
    *) printf %s "$1" ;;
    esac
}

# Git gets the token from its environment, so that no file and no command line has it.
log_in() {
    login=$JOBYARD_TEMPLATE_TOKEN
    case $template in
    "https://${CI_SERVER_HOST:-none}"/*) login=${login:-gitlab-ci-token:$CI_JOB_TOKEN} ;;
    esac
    case $login in
    "" | *:*) ;;
    *) login=oauth2:$login ;;
    esac
    if [ -n "$login" ]; then
        GIT_CONFIG_COUNT=1
        GIT_CONFIG_KEY_0=http.$(printf %s "$template" | cut -d/ -f1-3)/.extraHeader
        GIT_CONFIG_VALUE_0="Authorization: Basic $(printf %s "$login" | base64 | tr -d '\n')"
        export GIT_CONFIG_COUNT GIT_CONFIG_KEY_0 GIT_CONFIG_VALUE_0
    fi
}

# What git says where another try may succeed: the network, or a server that is busy.
TRANSIENT='Could not resolve host|[Tt]imed out|[Cc]onnection (refused|reset)|early EOF|RPC failed|returned error: (429|5[0-9][0-9])'

fetch() {
    log_in
    git init --quiet "$1"
    for pause in 2 5 15 none; do
        if said=$(LC_ALL=C GIT_TERMINAL_PROMPT=0 git -C "$1" fetch --quiet --depth=1 -- "$template" "$commit" 2>&1); then
            git -C "$1" checkout --quiet --detach FETCH_HEAD
            return
        fi
        echo "$said" >&2
        if [ "$pause" = none ] || ! echo "$said" | grep -qE "$TRANSIENT"; then
            break
        fi
        echo "ci/install.sh: trying again in $pause s" >&2
        sleep "$pause"
    done
    echo "ci/install.sh: commit $commit of $template can't be fetched (git says why, above)." >&2
    echo "  Can this pipeline reach the address by https? If not, correct \"template\" in .cruft.json, or set the variable" >&2
    echo "  JOBYARD_PLATFORM_URL. Is the repository private? Allow this project in its job token permissions, or set" >&2
    echo "  JOBYARD_TEMPLATE_TOKEN. Was the commit pushed there? If not, push it. docs/pipelines.md of the platform's repository." >&2
    return 1
}

[ -f .cruft.json ] || fail ".cruft.json is missing, which says where this repository came from: restore it from git"
template=$(noted template)
commit=$(noted commit)
template=$(as_https "${JOBYARD_PLATFORM_URL:-$template}")
[ -n "$template" ] || fail "write the https address of the platform's repository under \"template\" in .cruft.json"
[ -n "$commit" ] || fail "write the full id of a commit of the platform's repository under \"commit\" in .cruft.json"
# Where `jobyard` itself looks for it.
platform=${JOBYARD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/jobyard}/platform/$(printf %s "$template" | sha256sum | cut -c1-12)/$commit

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
# All commands of a job go by the same state of the platform, which is fetched here, where the login is.
JOBYARD_PLATFORM_URL=$template
JOBYARD_PLATFORM_MAX_AGE=7200
export PATH JOBYARD_PLATFORM_URL JOBYARD_PLATFORM_MAX_AGE
(log_in && jobyard refresh)
[ -z "$GITHUB_PATH" ] || echo "$platform/.venv/bin" >>"$GITHUB_PATH"
[ -z "$GITHUB_ENV" ] || printf '%s\n' "JOBYARD_PLATFORM_URL=$template" "JOBYARD_PLATFORM_MAX_AGE=7200" >>"$GITHUB_ENV"
