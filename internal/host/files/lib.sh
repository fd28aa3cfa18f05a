# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # the files read and set each other's variables
# What every step uses: one line of JSON for each event, reasons, retries.

STEP=start
REASON=
UNDO=
PROVEN=
CHECKED=
CHANGED=
TIMES=
BEGAN=$((${EPOCHREALTIME//[!0-9]/} / 1000))

# json_string TEXT: sets JSON to TEXT as a string, what is not printable ASCII as
# spaces.
json_string() {
  local s=$1
  s=${s//\\/\\\\}
  s=${s//\"/\\\"}
  s=${s//$'\n'/\\n}
  s=${s//$'\t'/\\t}
  JSON="\"${s//[^[:print:]]/ }\""
}

# event KIND KEY VALUE ...: one line of JSON on the console, in the journal and on
# the standard output that main was given, wherever a step sends its own.
event() {
  local line="{\"postern\":\"$1\"" JSON
  shift
  while (($# > 1)); do
    json_string "$2"
    [[ ! $2 =~ ^(0|[1-9][0-9]*)$ ]] || JSON=$2
    line+=",\"$1\":$JSON"
    shift 2
  done
  relay "$line}"
}

# open_log: what relay writes to, before anything is told. One logger takes the lines
# of a run. Where it ends, they are on the console still, and nothing else ends.
open_log() {
  exec 3>&1
  exec 4> >(exec logger -t postern -S 8192 >/dev/null 2>&1)
  trap : PIPE
}

# relay LINE: to everybody who listens.
relay() {
  printf '%s\n' "$1" >&3
  printf '%s\n' "$1" 2>/dev/null >>"$ROOT/dev/console" || true
  printf '%s\n' "$1" 2>/dev/null >&4 || true
}

note() { event note step "$STEP" text "$*"; }

# alarm NAME TEXT: a promise of the host is broken. NAME is stable: alarms are made
# of it.
alarm() { event alarm name "$1" text "$2"; }

# because REASON: the first reason given is the one that counts.
because() { [[ -n $REASON ]] || REASON=$1; }

# die REASON: gives up. Not from a subshell: there the reason would be lost.
die() {
  because "$*"
  exit 1
}

# now_ms: sets NOW.
now_ms() { NOW=$((${EPOCHREALTIME//[!0-9]/} / 1000)); }

# has_line TEXT LINE: is LINE one of the lines of TEXT?
has_line() { [[ $'\n'$1$'\n' == *$'\n'"$2"$'\n'* ]]; }

# step NAME [ARGUMENT ...]: runs step_NAME, timed. It must not stand in a
# condition: that would switch strict mode off inside it.
step() {
  local name=$1 began ms
  STEP=$name
  now_ms
  began=$NOW
  event step name "$name" result begin
  shift
  "step_${name}" "$@"
  now_ms
  ms=$((NOW - began))
  TIMES+=" $name=${ms}ms"
  event step name "$name" result ok ms "$ms"
}

# aws_try ARGUMENT ...: one call of the AWS CLI; its last words are noted.
aws_try() {
  local out
  if ! out=$(timeout "${AWS_TIMEOUT:-30}" aws "$@" 2>&1 </dev/null); then
    note "aws $1 $2: ${out##*$'\n'}"
    return 1
  fi
}

# by_program ARGUMENT ...: one request by our own program, which takes a tenth of what
# the AWS CLI takes; not before its bundle is proven. Whoever calls it has the AWS CLI
# for when it fails.
by_program() {
  local out status=0
  [[ -n $PROVEN ]] || return 1
  out=$(timeout 30 "$OPT/bin/postern-host" launch "$@" 2>&1 </dev/null) || status=$?
  ((status != 0)) || return 0
  note "postern-host launch $1: ${out##*$'\n'} ($status)"
  # It says why by 1. All else is a program that does not work: it is not asked again.
  ((status == 1)) || PROVEN=
  return 1
}

# retry TIMES COMMAND ...: waits 1, 2, 4 ... 8 seconds between the attempts.
retry() {
  local times=$1 attempt wait=1
  shift
  for ((attempt = 1; attempt <= times; attempt++)); do
    if "$@"; then return 0; fi
    ((attempt < times)) || break
    sleep "$wait"
    wait=$((wait < 8 ? wait * 2 : 8))
  done
  return 1
}

# put FILE MODE: writes standard input, which is text, to FILE, all at once. CHANGED
# is yes where that made a difference and empty where it didn't.
put() {
  local file=$1 mode=$2 temp="$1.$$.new" text='' had='' mask
  CHANGED=
  IFS= read -r -d '' text || true
  if [[ -f $file ]]; then
    IFS= read -r -d '' had <"$file" || true
    if [[ $had == "$text" && $(stat -c %a "$file") == "${mode#0}" ]]; then return; fi
  fi
  [[ -d ${file%/*} ]] || mkdir -p "${file%/*}"
  [[ ! -e $temp ]] || rm -f "$temp"
  # Nobody may read it before it has its mode, and a program for that takes longer
  # than all the rest.
  printf -v mask '%o' $((0777 & ~8#$mode))
  umask "$mask"
  printf '%s' "$text" >"$temp"
  umask 022
  if type -P restorecon >/dev/null; then restorecon "$temp" 2>/dev/null || true; fi
  mv -f "$temp" "$file"
  CHANGED=yes
}
