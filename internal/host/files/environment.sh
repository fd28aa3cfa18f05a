# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # the files read and set each other's variables
# The values that were only known at deployment, and the tools that must be there.

readonly ENVIRONMENT_KEYS=(REGION STACK SIGNAL_RESOURCE LIFECYCLE_HOOK BUNDLE_BUCKET BUNDLE_KEY LOG_GROUP
  LOG_GROUP_SESSIONS LOG_GROUP_COMMANDS LOG_GROUP_PEOPLE LOG_GROUP_SSHD LOG_GROUP_SUDO LOG_GROUP_AUDIT LOG_GROUP_HOST RECORD_BUCKET
  PEOPLE_BUCKET PARAMETER_PATH KEY_ID ALLOCATION_ID EGRESS_PORTS PERMIT_OPEN RELAY)
REGION='' STACK='' SIGNAL_RESOURCE='' LIFECYCLE_HOOK='' BUNDLE_BUCKET='' BUNDLE_KEY='' RECORD_BUCKET='' PEOPLE_BUCKET=''
PARAMETER_PATH='' ALLOCATION_ID='' EGRESS_PORTS='' PERMIT_OPEN='' RELAY=''
# What was chosen at synthesis, for the bootstrap itself.
GOLDEN_IMAGE='' UPDATES='' UPDATE_RELEASE='' INTEGRITY='' BANS='' AUDIT_IMMUTABLE='' SECOND_FACTOR='' RECORD_PREFIX='' RELAY_PORT=''
# shellcheck source=/dev/null
source "$HOST_DIR/choices.sh"

# form KEY: what a value of that key looks like, as an extended regular
# expression. The same forms stand in config.go, where tokens are let through.
form() {
  case $1 in
    REGION) printf '%s' '[a-z]{2,5}(-[a-z]+)+-[0-9]+' ;;
    STACK) printf '%s' '[A-Za-z][A-Za-z0-9-]{0,127}|arn:aws[a-z-]*:cloudformation:[A-Za-z0-9:/._+-]+' ;;
    SIGNAL_RESOURCE) printf '%s' '[A-Za-z0-9]{1,255}' ;;
    LIFECYCLE_HOOK) printf '%s' '[A-Za-z0-9_/-]{1,255}' ;;
    BUNDLE_BUCKET | RECORD_BUCKET | PEOPLE_BUCKET) printf '%s' '[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]' ;;
    BUNDLE_KEY) printf '%s' '[A-Za-z0-9._/-]{1,255}' ;;
    LOG_GROUP | LOG_GROUP_*) printf '%s' '[A-Za-z0-9._/#-]{1,512}' ;;
    PARAMETER_PATH) printf '%s' '(/[A-Za-z0-9._-]+)+' ;;
    KEY_ID) printf '%s' '[A-Za-z0-9:/_-]{1,256}' ;;
    ALLOCATION_ID) printf '%s' 'eipalloc-[0-9a-f]+' ;;
    EGRESS_PORTS) printf '%s' '[0-9]{1,5}( [0-9]{1,5})*' ;;
    PERMIT_OPEN)
      local target='([A-Za-z0-9_][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}'
      printf '%s' "$target( $target)*"
      ;;
    RELAY)
      local target='[a-z0-9-]{1,31}=([A-Za-z0-9_][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}'
      printf '%s' "$target( $target)*"
      ;;
    *) return 1 ;;
  esac
}

# read_environment FILE: takes KEY=VALUE lines as data. A key that is unknown,
# missing or given twice, or a value of another form, is refused: a value that
# holds a line break can so neither run anything nor stand in for another key.
read_environment() {
  local line key value pattern seen=' '
  while IFS= read -r line || [[ -n $line ]]; do
    key=${line%%=*}
    if [[ $line != *=* || " ${ENVIRONMENT_KEYS[*]} " != *" $key "* ]] || ! pattern=$(form "$key"); then
      die "environment: not a KEY=VALUE line of ours: ${line:0:80}"
    fi
    [[ $seen != *" $key "* ]] || die "environment: $key is given twice"
    seen+="$key "
    value=${line#*=}
    [[ -z $value || $value =~ ^($pattern)$ ]] || die "environment: $key has a form that is not allowed: ${value:0:80}"
    printf -v "$key" %s "$value"
  done <"$1"
  for key in "${ENVIRONMENT_KEYS[@]}"; do
    [[ $seen == *" $key "* ]] || die "environment: $key is missing: the user data is cut short"
  done
}

step_environment() {
  local saved="$STATE/environment"
  if (($# > 0)); then
    sed '1,/^# ENVIRONMENT$/d' "$1" | put "$saved" 0600
  fi
  [[ -f $saved ]] || die "there is no $saved: run once with the user data as argument"
  read_environment "$saved"
}

step_tools() {
  local tool missing=()
  OS=other
  if grep -qs '^ID="\?amzn' "$ROOT/etc/os-release"; then OS=amazon; fi
  if grep -qsE '^ID(_LIKE)?=.*(debian|ubuntu)' "$ROOT/etc/os-release"; then OS=debian; fi
  for tool in aws curl systemctl sshd ssh ssh-keygen sha256sum; do
    type -P "$tool" >/dev/null || missing+=("$tool")
  done
  ((${#missing[@]} == 0)) || die "not installed: ${missing[*]}: use an image that has them"
  SSHD=$(type -P sshd)
}

# step_settings: what the programs of the bundle are told, internal/host/settings.
step_settings() {
  local key
  for key in "${ENVIRONMENT_KEYS[@]}" INSTANCE_ID; do
    printf '%s=%s\n' "$key" "${!key}"
  done | put "$ETC/environment" 0600
  put "$ETC/settings.json" 0600 <"$HOST_DIR/settings.json"
}
