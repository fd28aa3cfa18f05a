#!/usr/bin/env bash
# Runs test tiers and ends with a table of what ran, what did not and why.
#
#   hack/test.sh [TIER...]      default: every tier
#
# Tiers: unit synth policy shell lint fuzz emulator moto root host. A tier that this machine can't run
# says so and does not fail the run, unless CI=true: then it does.
# Exit code: 0 all green, 1 a tier failed (or did not run, under CI=true), 2 usage.
#
# GOLANGCI_LINT, GOFUMPT and SHFMT name the tools; the Makefile sets and builds them.
# FUZZTIME is how long each fuzz target runs: 3s, and 30s under CI=true.
set -euo pipefail

readonly all_tiers=(unit shell lint fuzz synth policy emulator moto root host)
readonly cannot_run=77

# Packages with a tier of their own, which unit and synth leave out.
readonly own_tier='/test/(emulator|host|bench|policy)(/|$)'

main() {
  cd "$(dirname "${BASH_SOURCE[0]}")/.."
  local tier tiers=("$@")
  ((${#tiers[@]})) || tiers=("${all_tiers[@]}")
  for tier in "${tiers[@]}"; do
    [[ " ${all_tiers[*]} " == *" $tier "* ]] || usage "$tier"
  done

  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION=20 AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED=true
  export CDK_DISABLE_CLI_TELEMETRY=true CDK_DISABLE_VERSION_CHECK=1
  # The tiers judge templates with the CDK's own validation; an inner loop may have turned it off.
  unset CDK_VALIDATION

  local failed=0 started code
  local -a rows=()
  for tier in "${tiers[@]}"; do
    printf '\n== %s\n' "$tier"
    : >"$work/why"
    started=$SECONDS
    # Not the condition of an if: errexit would be off inside.
    set +e
    (
      set -e
      "tier_$tier"
    )
    code=$?
    set -e
    rows+=("$(row "$tier" "$code" $((SECONDS - started)))")
    if ((code == cannot_run)); then
      [[ ${CI:-} != true ]] || failed=1
    elif ((code != 0)); then
      failed=1
    fi
  done

  printf '\n%-10s %-12s %6s  %s\n' TIER RESULT TIME NOTE
  printf '%s\n' "${rows[@]}"
  if ((failed)); then
    [[ ${CI:-} != true ]] || printf '\nUnder CI=true a tier that did not run is a failure.\n'
    return 1
  fi
}

usage() {
  printf 'no tier %q; tiers: %s\n' "$1" "${all_tiers[*]}" >&2
  exit 2
}

# row TIER CODE SECONDS
row() {
  local result=ok
  case $2 in
    0) ;;
    "$cannot_run") result='DID NOT RUN' ;;
    *) result=FAILED ;;
  esac
  local why
  why=$(paste -sd ';' "$work/why")
  printf '%-10s %-12s %5ds  %s' "$1" "$result" "$3" "$why"
}

# cannot REASON ends a tier that this machine can't run.
cannot() {
  printf '%s\n' "$1" | tee -a "$work/why" >&2
  exit "$cannot_run"
}

have() { command -v "$1" >/dev/null; }

need_node() {
  have node || cannot 'no node: install Node.js 22 or newer'
  [[ -x node_modules/.bin/cdk ]] || cannot 'no node_modules: run npm ci'
}

# packages cdk|pure lists the packages whose tests do or do not start a jsii kernel.
packages() {
  # shellcheck disable=SC2016 # a Go template
  go list -test -f '{{.ImportPath}} {{join .Deps ","}}' ./... \
    | awk -v want="$1" -v own="$own_tier" '
        sub(/\.test$/, "", $1) && $1 !~ own {
          kind = $2 ~ /github\.com\/aws\/jsii-runtime-go/ ? "cdk" : "pure"
          if (kind == want) print $1
        }'
}

# lines VARIABLE COMMAND... fills an array with what the command prints. Unlike
# mapfile < <(...), it fails where the command does, and where it prints nothing.
lines() {
  local -n into=$1
  local text
  text=$("${@:2}")
  [[ -n $text ]] || return 1
  # shellcheck disable=SC2034 # a reference
  mapfile -t into <<<"$text"
}

# in_memory puts temporary files in memory where there is room: the tests of records
# and accounts wait for the disk otherwise, some 10,000 times.
in_memory() {
  local free
  free=$(df -k --output=avail /dev/shm 2>/dev/null | tail -n 1) || free=0
  ((free < 1 << 20)) || export TMPDIR=/dev/shm
}

tier_unit() {
  in_memory
  local -a list race=()
  lines list packages pure
  # The race detector needs a C compiler, which Go itself does not.
  if have "$(go env CC)"; then
    race=(-race)
  else
    echo 'without -race: no C compiler' | tee -a "$work/why"
    [[ ${CI:-} != true ]] || return 1
  fi
  go test "${race[@]}" "${list[@]}"
  # A module of its own, for the matcher of event patterns. Go does not see when files
  # outside of it change, so nothing is taken from its cache.
  go -C test/patterns test -count=1 ./...
}

tier_synth() {
  need_node
  local -a list
  lines list packages cdk
  # Each package holds a node process of up to half a gigabyte.
  go test -p 2 -timeout 20m "${list[@]}"
}

# What the policies of people allow and deny, by an independent evaluator in Node.
tier_policy() {
  need_node
  [[ -d node_modules/@cloud-copilot/iam-simulate ]] || cannot 'no policy evaluator in node_modules: run npm ci'
  # Uncached: go test does not see the evaluator. What is judged here is policies; templates are in synth.
  CDK_VALIDATION=false go test -count=1 -timeout 10m ./test/policy/...
}

tier_shell() {
  have shellcheck || cannot 'no shellcheck: apt-get install shellcheck'
  : "${SHFMT:?run it with make}"
  local -a files
  lines files hack/files.sh shell
  "$SHFMT" -d "${files[@]}"
  shellcheck --external-sources "${files[@]}"
  PATH="$PATH:/usr/sbin:/sbin"
  have sshd || cannot 'no sshd: apt-get install openssh-server'
  tagged hosttools
}

tier_lint() {
  : "${GOFUMPT:?run it with make}" "${GOLANGCI_LINT:?run it with make}"
  local -a files
  lines files hack/files.sh go
  local unformatted
  unformatted=$("$GOFUMPT" -l "${files[@]}")
  if [[ -n $unformatted ]]; then
    printf 'not formatted, run make fmt:\n%s\n' "$unformatted"
    return 1
  fi
  go vet ./...
  "$GOLANGCI_LINT" run ./...
}

tier_fuzz() {
  local time=${FUZZTIME:-3s} target
  [[ -n ${FUZZTIME:-} || ${CI:-} != true ]] || time=30s
  local -a targets
  lines targets git grep -oE --untracked '^func Fuzz[A-Za-z0-9_]+' -- '*_test.go' # FILE:func NAME
  for target in "${targets[@]}"; do
    # One target of one package at a time is all that go test takes.
    go test -run '^$' -fuzz "^${target##* }\$" -fuzztime "$time" "./${target%/*}"
  done
  echo "${#targets[@]} targets, $time each" >>"$work/why"
}

tier_emulator() {
  need_node
  [[ -d test/emulator ]] || cannot 'no test/emulator'
  # Uncached: what is deployed is built by the tests, which go test does not see.
  go test -count=1 -timeout 20m -skip '^TestMoto' ./test/emulator/...
}

tier_moto() {
  need_node
  have moto_server || cannot "no moto_server: pip install 'moto[server,all]==5.2.1'"
  grep -rqs '^func TestMoto' test/emulator || cannot 'no TestMoto in test/emulator'
  go test -count=1 -timeout 20m -run '^TestMoto' ./test/emulator/...
}

# The tests know themselves whether they can run, and leave the reason in a file.
# tagged TAG [FLAG...]: the tests that only a build tag brings.
tagged() {
  local tag=$1 file folder names failed=0
  shift
  local -a files
  lines files git grep -lE --untracked "^//go:build .*\\b$tag\\b" -- '*_test.go'
  while read -r folder; do
    names=$(for file in "${files[@]}"; do
      [[ ${file%/*} != "$folder" ]] || grep -hoE '^func Test[A-Za-z0-9_]+' "$file" || true
    done | sed 's/^func //' | grep -vx TestMain | paste -sd '|')
    [[ -z $names ]] || go test -count=1 -timeout 10m -tags "$tag" "$@" -run "^($names)\$" "./$folder" || failed=1
  done < <(printf '%s\n' "${files[@]%/*}" | sort -u)
  return "$failed"
}

# What needs root, in namespaces of its own: real sessions below a real sshd.
tier_root() {
  [[ $(uname) == Linux ]] || cannot 'not Linux'
  ((EUID == 0)) || cannot 'not root'
  PATH="$PATH:/usr/sbin:/sbin"
  have sshd || cannot 'no sshd: apt-get install openssh-server'
  tagged hostroot
}

tier_host() {
  [[ -d test/host ]] || cannot 'no test/host'
  local code=0
  # sbin, which a user's PATH may lack, has what sets up a network.
  PATH="$PATH:/usr/sbin:/sbin" POSTERN_DID_NOT_RUN="$work/host" \
    go test -count=1 -timeout 20m -parallel 12 ./test/host/... || code=$?
  [[ ! -s $work/host ]] || cannot "$(<"$work/host")"
  return "$code"
}

main "$@"
