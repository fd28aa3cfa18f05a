# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # the files read and set each other's variables
# Kernel settings and modules. A kernel may lack some; a container has none of its
# own but those of its network.

readonly SYSCTL_FILE="$ROOT/etc/sysctl.d/99-zz-postern.conf"

# sysctl_path KEY: sets FILE. Dots of the key are slashes there.
sysctl_path() { FILE="$ROOT/proc/sys/${1//.//}"; }

# sysctl_is KEY VALUE: values may be several, between which any white space stands.
sysctl_is() {
  local now want
  sysctl_path "$1"
  read -r -a now 2>/dev/null <"$FILE" || return 1
  read -r -a want <<<"$2"
  [[ ${now[*]} == "${want[*]}" ]]
}

# sysctl_wanted: key and value of what this kernel has.
sysctl_wanted() {
  local key value lacks=() container=
  if in_container; then container=yes; fi
  while IFS=' =' read -r key value; do
    [[ -n $key && $key != \#* ]] || continue
    if [[ -n $container && $key != net.* ]]; then continue; fi
    # Where people alone can be kept from new user namespaces, root gets them.
    if [[ $key == user.max_user_namespaces && -e $ROOT/proc/sys/kernel/unprivileged_userns_clone ]]; then continue; fi
    sysctl_path "$key"
    if [[ -e $FILE ]]; then printf '%s = %s\n' "$key" "$value"; else lacks+=("$key"); fi
  done <"$OPT/host/etc/sysctl.conf"
  ((${#lacks[@]} == 0)) || printf '# not in this kernel: %s\n' "${lacks[*]}"
}

# kernel_differs: the settings that are not as wanted.
kernel_differs() {
  local key value differs=()
  while IFS=' =' read -r key value; do
    [[ $key == \#* ]] || sysctl_is "$key" "$value" || differs+=("$key")
  done <"$SYSCTL_FILE"
  printf '%s' "${differs[*]}"
}

step_kernel() {
  local differs key value
  if in_container; then note 'a container: settings of the kernel are those of the machine, but for the network'; fi
  sysctl_wanted | put "$SYSCTL_FILE" 0644
  while IFS=' =' read -r key value; do
    if [[ $key == \#* ]]; then
      note "settings ${key#\#}$value"
    elif ! sysctl_is "$key" "$value"; then
      printf '%s\n' "$value" 2>/dev/null >"$FILE" || true
    fi
  done <"$SYSCTL_FILE"
  differs=$(kernel_differs)
  [[ -z $differs ]] || note "could not be set: $differs"
  put "$ROOT/etc/modprobe.d/postern.conf" 0644 <"$OPT/host/etc/modprobe.conf"
}

check_kernel() {
  DETAIL=$(kernel_differs)
  [[ -n $DETAIL ]] || return 0
  DETAIL="not as it should be: $DETAIL"
  in_container
}
