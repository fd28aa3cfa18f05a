# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # the files read and set each other's variables
# Installs what systemd runs, and has it read all that the steps before changed, once.
# Each unit is started by the step that it belongs to.

UNITS_CHANGED=' '
# The steps before have written drop-ins that systemd has not read.
RELOAD=

step_units() {
  local file name
  # Units that are shut in name what they may write, and it must be there.
  mkdir -p "$ROOT/var/log/postern" "$ROOT/run/postern"
  chmod 0700 "$ROOT/var/log/postern"
  chmod 0755 "$ROOT/run/postern"
  for file in "$OPT"/host/units/*; do
    name=${file##*/}
    # A @ in a file's name is a folder of drop-ins: sshd.service@postern.conf.
    if [[ $name == *.conf ]]; then name="${name%%@*}.d/${name#*@}"; fi
    put "$ROOT/etc/systemd/system/$name" 0644 <"$file"
    if [[ -n $CHANGED ]]; then UNITS_CHANGED+="$name "; fi
  done
  if [[ $UNITS_CHANGED != ' ' || -n $RELOAD ]]; then systemctl daemon-reload; fi
}
