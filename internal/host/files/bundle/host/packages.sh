# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # the files read and set each other's variables
# What the hardening is made of, by the names that each system has for it.

# program, its package on Amazon Linux and on Debian, what is missing without it.
readonly WANTED="\
nft nftables nftables people reach the instance's credentials and every port that the security group allows
auditctl audit auditd the kernel records nothing of what root does
aide aide aide nobody learns of changed programs and configuration
fail2ban-client fail2ban-server fail2ban an address may try to log in as often as it likes
amazon-cloudwatch-agent-ctl amazon-cloudwatch-agent - there are no metrics of memory and disk"

# wants PROGRAM: has it been asked for?
wants() {
  case $1 in
    aide) [[ -n $INTEGRITY ]] ;;
    fail2ban-client) [[ -n $BANS ]] ;;
    *) return 0 ;;
  esac
}

# needs PROGRAM: without which the host is not what was promised. Not everything
# has a package on every system, and not every Debian a way to its archive.
needs() {
  case $1 in
    nft) return 0 ;;
    auditctl | aide) [[ $OS == amazon ]] && wants "$1" ;;
    *) return 1 ;;
  esac
}

has_program() { have "$1" || [[ -x $ROOT/opt/aws/amazon-cloudwatch-agent/bin/$1 ]]; }

# missing_packages: those that this system has a name for.
missing_packages() {
  local program amazon debian rest name
  while read -r program amazon debian rest; do
    if has_program "$program" || ! wants "$program"; then continue; fi
    name=$debian
    [[ $OS != amazon ]] || name=$amazon
    [[ $name == - ]] || printf '%s\n' "$name"
  done <<<"$WANTED"
  # Without these, Fail2ban reads no journal and bans nobody, and says it does.
  if [[ $OS == debian && -n $BANS ]]; then
    [[ -e $ROOT/etc/protocols ]] || printf 'netbase\n'
    [[ -d $ROOT/usr/lib/python3/dist-packages/systemd ]] || printf 'python3-systemd\n'
  fi
}

install_packages() {
  case $OS in
    # What the release doesn't have is left out and not a reason to leave out the rest.
    amazon) retry 2 timeout 300 dnf install -y -q --setopt=strict=0 --setopt=install_weak_deps=0 --setopt=timeout=15 "$@" >/dev/null 2>&1 ;;
    debian)
      timeout 120 apt-get -qq -o Acquire::Retries=0 -o Acquire::http::Timeout=10 update >/dev/null 2>&1 || true
      timeout 300 apt-get -qq -y --no-install-recommends -o Acquire::Retries=0 -o Acquire::http::Timeout=10 -o DPkg::Lock::Timeout=60 install "$@" >/dev/null 2>&1
      ;;
    *) return 1 ;;
  esac
}

step_packages() {
  local program amazon debian without packages
  mapfile -t packages < <(missing_packages)
  if ((${#packages[@]} == 0)); then
    note 'everything is installed'
  elif [[ -n $GOLDEN_IMAGE ]]; then
    note "a golden image: nothing is installed. It lacks: ${packages[*]}"
  elif ! install_packages "${packages[@]}"; then
    note "could not be installed: ${packages[*]}: the package manager needs a way to its repositories, on Amazon Linux the S3 gateway endpoint"
  fi
  while read -r program amazon debian without; do
    if ! wants "$program" || has_program "$program"; then continue; fi
    if [[ $OS != amazon && $debian == - ]]; then
      note "there is no package of $program for this system: $without; put it on the image"
    else
      note "$program is not here: $without"
    fi
  done <<<"$WANTED"
}

check_packages() {
  local program rest missing=()
  while read -r program rest; do
    if needs "$program" && ! has_program "$program"; then missing+=("$program"); fi
  done <<<"$WANTED"
  ((${#missing[@]} == 0)) && return
  DETAIL="missing: ${missing[*]}"
  return 1
}
