# shellcheck shell=bash
# Read by the shell of a recorded session in place of its own start files, which it
# reads then. Tells the recorder, by the pipe 61, each line that is typed, where,
# and how it ended: three fields, each ended by a zero byte. A person can switch
# this off in his own shell; the kernel's report of each program goes on.

__postern_line() {
  HISTTIMEFORMAT='' builtin history 1
}

# PS0 runs this after a line was read and before it does anything.
__postern_before() {
  {
    builtin printf 'typed\0%s\0' "$PWD"
    __postern_line
    builtin printf '\0'
  } >&61
} 2>/dev/null

__postern_after() {
  local status=$?
  {
    builtin printf '%s\0%s\0' "${__postern_first:-$status}" "$PWD"
    __postern_line
    builtin printf '\0'
  } >&61
  __postern_first=
  # What would keep a line out of the history would keep it out of the record.
  HISTCONTROL='' HISTIGNORE=''
  [[ ${HISTSIZE:-1000} =~ ^[1-9] ]] || HISTSIZE=1000
  set -o history
  return "$status"
} 2>/dev/null

builtin readonly -f __postern_line __postern_before __postern_after

if [[ -r /etc/profile ]]; then
  # shellcheck source=/dev/null
  . /etc/profile
fi
for __postern_first in ~/.bash_profile ~/.bash_login ~/.profile; do
  if [[ -r $__postern_first ]]; then
    # shellcheck source=/dev/null
    . "$__postern_first"
    break
  fi
done

# Last, so that nothing in those files switches it off by accident. The first prompt
# reports what the history held before.
__postern_first=start
# shellcheck disable=SC2016,SC2034
PS0='$(__postern_before)'
# shellcheck disable=SC2178
PROMPT_COMMAND=(__postern_after "${PROMPT_COMMAND[@]}")
