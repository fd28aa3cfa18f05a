#!/bin/bash
# Makes an operating system in FOLDER/root. It is built in memory, in mount and PID
# namespaces of its own: dpkg writes, renames and removes each file several times.
#
#   rootfs.sh base FOLDER SUITE PACKAGES
#   rootfs.sh more FOLDER BASE PACKAGES PATHS AFTER
#
# "base" leaves the lists of packages in FOLDER/apt. "more" is a layer over BASE, which
# finds them in BASE.apt, or fetches them. PACKAGES and PATHS are separated by commas.
# PATHS are for dpkg: it leaves out what begins with "-", but not what begins with "+".
# AFTER is run in the finished system.
set -euo pipefail

# What nobody reads here, a third of the bytes.
readonly unread=(
  '/usr/share/doc/*' '/usr/share/man/*' '/usr/share/info/*' '/usr/share/locale/*'
  '/usr/share/i18n/charmaps/*' '/usr/share/i18n/locales/*'
  '/usr/share/awscli/examples/*' '/usr/lib/python3/dist-packages/awscli/examples/*'
)

main() {
  local what=$1
  folder=$2 memory=$2/memory
  shift 2
  umask 022
  mkdir "$memory"
  mount -t tmpfs -o size=2g,mode=0755 rootfs "$memory"
  "$what" "$@"
  umount "$memory"
  rmdir "$memory"
}

base() {
  local suite=$1 packages=$2 root=$memory/root
  { declare -p unread && declare -f before between after; } >"$memory/hooks"
  hook() { echo "bash -euo pipefail -c '. $memory/hooks; $1' \"\$1\""; }
  mmdebstrap --quiet --variant=minbase \
    '--aptopt=Apt::Install-Recommends "false"' '--aptopt=Acquire::Languages "none"' \
    --setup-hook=/usr/share/mmdebstrap/hooks/merged-usr/setup00.sh \
    --setup-hook="$(hook before)" --essential-hook="$(hook between)" --customize-hook="$(hook after)" \
    --skip=cleanup/apt --include="usr-is-merged,$packages" "$suite" "$root" >&2
  mkdir "$folder/apt"
  mv "$root/var/lib/apt/lists" "$root/var/cache/apt" "$folder/apt/"
  mkdir -p "$root/var/lib/apt/lists/partial" "$root/var/cache/apt"
  cp -a "$root" "$folder/root"
}

# The hooks of mmdebstrap get the root as $0.

before() {
  # Not by its options: for those it would send each package through a filter in Python.
  mkdir -p "$0/etc/dpkg/dpkg.cfg.d"
  {
    # A root that was cut off is made again: nothing has to be on the disk at once.
    echo force-unsafe-io
    printf 'path-exclude=%s\n' "${unread[@]}"
  } >"$0/etc/dpkg/dpkg.cfg.d/lab"
  # Each host has keys of its own.
  mkdir -p "$0/etc/ssh"
  touch "$0"/etc/ssh/ssh_host_{rsa,ecdsa,ed25519}_key
}

between() {
  # All is compiled at once in the end: two processes for each package take as long again.
  chroot "$0" dpkg-divert --quiet --local --rename --divert /usr/bin/py3compile.later --add /usr/bin/py3compile
  ln -s true "$0/usr/bin/py3compile"
}

after() {
  rm "$0/usr/bin/py3compile" "$0"/etc/ssh/ssh_host_*_key "$0"/var/cache/apt/archives/*.deb
  chroot "$0" dpkg-divert --quiet --local --rename --remove /usr/bin/py3compile
  chroot "$0" python3 -m compileall -q /usr/lib/python3/dist-packages
  rm -rf "$0"/usr/share/{doc,man,info,locale}/*
}

more() {
  local base=$1 after=$4 root=$memory/root name
  local -a packages paths options=(-o Dpkg::Options::=--force-unsafe-io)
  IFS=, read -ra packages <<<"$2"
  IFS=, read -ra paths <<<"$3"
  for name in "${paths[@]}"; do
    case $name in
      -*) options+=(-o "Dpkg::Options::=--path-exclude=${name#-}") ;;
      *) options+=(-o "Dpkg::Options::=--path-include=${name#+}") ;;
    esac
  done
  mkdir -p "$memory"/{root,upper,work,apt/lists/partial,apt/apt}
  [[ ! -d $base.apt ]] || cp -a -T "$base.apt" "$memory/apt"
  mount -t overlay -o "lowerdir=$base,upperdir=$memory/upper,workdir=$memory/work" rootfs "$root"
  cp -L /etc/resolv.conf "$root/etc/resolv.conf"
  mount --bind "$memory/apt/lists" "$root/var/lib/apt/lists"
  mount --bind "$memory/apt/apt" "$root/var/cache/apt"
  mount -t proc proc "$root/proc"
  mount -t tmpfs tmpfs "$root/dev"
  for name in null zero random urandom tty; do
    touch "$root/dev/$name"
    mount --bind "/dev/$name" "$root/dev/$name"
  done
  # Lists that were kept name versions that the mirror may have dropped.
  if [[ ! -d $base.apt ]] || ! install; then
    chroot "$root" apt-get update -q
    install
  fi
  umount -R "$root/dev" "$root/proc" "$root/var/cache/apt" "$root/var/lib/apt/lists"
  [[ -z $after ]] || chroot "$root" sh -c "$after"
  umount "$root"
  cp -a -T "$memory/upper" "$folder/root"
}

install() {
  DEBIAN_FRONTEND=noninteractive chroot "$root" apt-get install -qy --no-install-recommends "${options[@]}" "${packages[@]}"
}

main "$@"
