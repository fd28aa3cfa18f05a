#!/usr/bin/env bash
# Prints the repository's own source files, one a line: hack/files.sh go|shell
#
# Shell is what ends in .sh or .bash or begins with a shell's #! line, so that
# a script without an ending is checked too.
set -euo pipefail

main() {
  cd "$(dirname "${BASH_SOURCE[0]}")/.."
  case "${1:-}" in
    go) sources -name '*.go' ;;
    shell)
      sources '(' -name '*.sh' -o -name '*.bash' ')'
      sources '!' -name '*.*' -size -64k -exec \
        awk 'FNR == 1 && /^#!.*[\/ ](ba|da|)sh( |$)/ { print FILENAME } { nextfile }' '{}' +
      ;;
    *)
      echo "usage: ${0##*/} go|shell" >&2
      return 2
      ;;
  esac | sed 's,^\./,,' | sort -u
}

# sources finds regular files that are ours: not installed, built or synthesized.
sources() {
  local action=-print argument
  for argument in "$@"; do
    [[ $argument != -exec ]] || action=
  done
  # shellcheck disable=SC2086 # no action: no argument
  find . '(' -path ./.git -o -name node_modules -o -name cdk.out -o -path ./.tools -o -path ./.cache ')' -prune \
    -o -type f "$@" $action
}

main "$@"
