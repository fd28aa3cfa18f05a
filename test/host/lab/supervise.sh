#!/bin/bash
# Holds one lab: the first process of its own PID and mount namespaces, in the
# network namespace of the bastion. Whatever it made ends with it, and it ends with
# its standard input.
#
#   supervise.sh NAME WORK LOWER MEBIBYTES HOSTNAME IMAGE MEMORY
#
# IMAGE may be empty. MEMORY is in mebibytes, 0 for no limit.
#
# Reads commands: "start" boots the payload. Its exit status is then in WORK/exit.
set -euo pipefail

readonly name=$1 work=$2 lower=$3 mebibytes=$4 hostname=$5 image=$6
memory=$7
readonly root=$work/root

main() {
  # A machine that mixes cgroup versions: the payload is shown the second only.
  if ((memory)) && [[ -d /sys/fs/cgroup/memory ]]; then
    mkdir "/sys/fs/cgroup/memory/$name"
    echo $((memory << 20)) >"/sys/fs/cgroup/memory/$name/memory.limit_in_bytes"
    echo $$ >"/sys/fs/cgroup/memory/$name/cgroup.procs"
    memory=0
  fi
  umount -R -l /sys/fs/cgroup
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
  mkdir -p "/sys/fs/cgroup/$name"
  if ((memory)); then
    echo +memory >/sys/fs/cgroup/cgroup.subtree_control
    echo $((memory << 20)) >"/sys/fs/cgroup/$name/memory.max"
  fi
  echo $$ >"/sys/fs/cgroup/$name/cgroup.procs"

  mkdir -p "$work/disk" "$root"
  mount -t tmpfs -o "size=${mebibytes}m,mode=0755" lab "$work/disk"
  mkdir "$work/disk/upper" "$work/disk/work"
  # Not one more layer: a folder of a layer below can't be renamed.
  [[ -z $image ]] || cp -a -T "$image" "$work/disk/upper"
  mount -t overlay -o "lowerdir=$lower,upperdir=$work/disk/upper,workdir=$work/disk/work" lab "$root"
  echo ready

  local command
  while read -r command; do
    case $command in
      start)
        rm -f "$work/exit"
        boot &
        ;;
      *) echo "unknown command $command" >&2 ;;
    esac
  done
}

boot() {
  local code=0
  SYSTEMD_NSPAWN_API_VFS_WRITABLE=network systemd-nspawn --quiet \
    -D "$root" --boot --register=no --keep-unit --private-users=no \
    --network-namespace-path=/proc/self/ns/net -M "$hostname" \
    --resolv-conf=off --timezone=off --link-journal=no \
    --capability=CAP_NET_ADMIN,CAP_SYSLOG,CAP_BPF \
    </dev/null >>"$work/console" 2>&1 || code=$?
  echo "$code" >"$work/exit.new"
  mv "$work/exit.new" "$work/exit"
}

main
