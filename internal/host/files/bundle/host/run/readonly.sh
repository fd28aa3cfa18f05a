#!/bin/bash
# Makes programs and configuration read-only, and back.
#
# readonly.sh on|off
#
# Each folder of them is covered by a read-only mount of itself: the file system may
# be that of /var, whose open files keep the root from becoming read-only. So it can
# be done and undone at any time, for what runs already too.
set -euo pipefail
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
umask 077
readonly FOLDERS=(/bin /boot /etc /lib /lib64 /opt /root /sbin /srv /usr)
readonly VIEW=/run/postern/writable
readonly COVERED=/run/postern/covered
# The CloudWatch agent translates its configuration, and writes its log, beside its
# program.
readonly AGENT=/opt/aws/amazon-cloudwatch-agent

# mounts_in FOLDER: what is mounted there and below, a line of mountinfo each.
mounts_in() { awk -v dir="$1" '$5 == dir || index($5, dir "/") == 1' /proc/self/mountinfo; }

# view: the whole root, read-only. In the end /etc in it is writable; who looks there
# before finds an /etc that refuses, and never an empty one.
view() {
  mkdir -p "$VIEW"
  mount --bind / "$VIEW"
  mount --make-private "$VIEW"
  mount -o remount,bind,ro "$VIEW"
}

# cover FOLDER: what is bound from a read-only mount is so from the beginning.
cover() {
  local mounts target
  mounts=$(mounts_in "$1")
  if [[ -z $mounts ]]; then
    mount --bind "$VIEW$1" "$1"
  elif [[ $mounts == *' - autofs '* ]]; then
    echo "$1 stays writable: parts of it are mounted on demand"
    return
  else
    mount --rbind "$1" "$1"
    mapfile -t mounts < <(mounts_in "$1" | awk '{ print $5 }' | sort -u)
    for target in "${mounts[@]}"; do mount -o remount,bind,ro "$target"; done
  fi
  printf '%s\n' "$1" >>"$COVERED"
}

on() {
  local dir
  install -d -m 0755 /run/postern
  [[ ! -s $COVERED ]] || off
  view
  for dir in "${FOLDERS[@]}"; do
    if [[ -d $dir && ! -L $dir ]]; then cover "$dir"; fi
  done
  mount --bind /etc "$VIEW/etc"
  mount --make-private "$VIEW/etc"
  mount -o remount,bind,rw "$VIEW/etc"
  for dir in "$AGENT"/{etc,logs,var}; do
    if [[ -d $dir && ! -L $dir ]]; then
      mount --bind "$dir" "$dir"
      mount -o remount,bind,rw "$dir"
    fi
  done
}

off() {
  local dir
  while read -r dir; do umount -l "$dir"; done <"$COVERED"
  rm -f "$COVERED"
  umount -l "$VIEW"
  rmdir "$VIEW"
}

"$1"
