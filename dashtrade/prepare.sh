# Sourced by ./start and ./test: makes .venv and fills it from a lock file, once.
#
# A copy of the installed lock file stays in .venv, so the next start compares two files, installs nothing and needs no
# network. While .venv is being made or filled it holds the file "unfinished": whoever finds it there knows that an
# earlier run was cut off, and makes the folder anew.

say() { printf '%s\n' "$*" >&2; }

give_up() {
    for line in "$@"; do say "$line"; done
    exit 1
}

# Prints the first suitable Python: new enough, and able to make a virtual environment.
find_python() {
    found=""
    for name in python3.14 python3.13 python3.12 python3.11 python3 python; do
        # A name alone proves nothing: version managers put names on the PATH that do not run.
        version=$("$name" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) || continue
        if ! "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            found="$found $name is $version;"
        elif ! "$name" -c 'import venv, ensurepip' >/dev/null 2>&1; then
            without_venv="${without_venv:-$version}"
        else
            printf '%s\n' "$name"
            return 0
        fi
    done
    if [ -n "${without_venv:-}" ]; then
        minor="${without_venv%.*}"
        give_up "DashTrade cannot start: Python $without_venv is here, but cannot make virtual environments." \
            "On Debian and Ubuntu: sudo apt install python$minor-venv     Then run this again."
    fi
    give_up "DashTrade cannot start: it needs Python 3.11 or newer, and found${found:- no Python at all;}" \
        "Install a newer one (Debian 12, Ubuntu 24.04: sudo apt install python3 python3-venv; macOS: brew install" \
        "python; elsewhere: python.org), see that 'python3 --version' shows it, and run this again."
}

# A Python that was upgraded or removed under it leaves a .venv that runs with an empty shelf, or not at all.
venv_works() {
    [ ! -e .venv/unfinished ] && [ -f .venv/python-version ] || return 1
    now=$(.venv/bin/python -c 'import sys, pip; print(*sys.version_info[:2])' 2>/dev/null) || return 1
    [ "$now" = "$(cat .venv/python-version)" ]
}

make_venv() {
    python=$(find_python) || exit 1
    if [ -e .venv ] || [ -h .venv ]; then
        say "The folder .venv is incomplete, or its Python is gone: making it anew."
        rm -rf .venv || give_up "The old .venv cannot be removed. Remove it by hand, then run this again."
    fi
    say "Making a virtual environment in .venv with $("$python" --version) ..."
    if ! why=$(mkdir .venv 2>&1 && touch .venv/unfinished 2>&1); then
        give_up "DashTrade cannot start: it cannot write to its own folder, $(pwd)" "    $why" \
            "Make the folder writable for the user $(id -un), or copy it to a place of your own, and run this again."
    fi
    "$python" -m venv .venv >.venv/install.log 2>&1 || show_failure "Making the virtual environment"
    .venv/bin/python -c 'import sys; print(*sys.version_info[:2])' >.venv/python-version
}

# The project is reached through a path relative to site-packages, so that the folder can be moved as a whole.
link_project() {
    for site in .venv/lib/python*/site-packages; do
        printf '../../../..\n' >"$site/dashtrade.pth"
    done
    # -P: a folder that happens to be called dashtrade where the command is typed must not be taken for the program.
    printf '#!/bin/sh\nexec "${0%%/*}/python" -P -m dashtrade.cli "$@"\n' >.venv/bin/dashtrade
    chmod 755 .venv/bin/dashtrade
}

show_failure() {
    say "$1 failed. The last lines it said:"
    grep -v '^WARNING' .venv/install.log | tail -n 15 | cut -c 1-300 | sed 's/^/    /' >&2
    if grep -q 'No space left' .venv/install.log; then
        give_up "The disk is full: make about 1 GB of room, remove the folder .venv, and run this again."
    fi
    give_up "Most often the internet connection is missing or broken: the first start fetches packages, later ones do" \
        "not. See to that and run this again; it goes on where it stopped. The whole log: .venv/install.log"
}

# Installs the lock file $1 unless exactly that file was installed before.
prepare() {
    # Either would send Python or pip to other places than .venv.
    unset PYTHONHOME PIP_TARGET PIP_PREFIX
    export PIP_USER=0
    trap 'exit 130' INT
    trap 'exit 143' TERM
    venv_works || make_venv
    if ! cmp -s "$1" ".venv/installed-$1"; then
        say "Installing the packages of $1 (a few minutes the first time) ..."
        touch .venv/unfinished
        status=0
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes -r "$1" \
            >.venv/install.log 2>&1 || status=$?
        # A pip that was killed may leave half a package behind; one that gave up by itself does not.
        [ "$status" -ge 128 ] || rm -f .venv/unfinished
        [ "$status" -eq 0 ] || show_failure "Installing the packages"
        link_project
        cp "$1" ".venv/installed-$1"
        say "Installed."
    fi
    trap - INT TERM
}
