#!/bin/bash
# shellcheck disable=SC2034 # the files read and set each other's variables
# Installs security updates, and tells before and after. What was changed by it is
# the new baseline of the integrity check, once the old one had no fault.

# shellcheck source=internal/host/files/bundle/host/run/begin.sh
source "${BASH_SOURCE[0]%/*}/begin.sh"
STEP=updates

# versions: what is installed, to tell what changed.
versions() {
  if [[ $OS == amazon ]]; then
    rpm -qa --qf '%{NAME} %{VERSION}-%{RELEASE}\n' | sort
  else
    dpkg-query -W -f '${Package} ${Version}\n' | sort
  fi
}

# upgrade: Amazon Linux is pinned to a release, and sees what is newer only where
# another is named. On Debian and Ubuntu, what comes from the security suites is
# what APT calls so.
upgrade() {
  local packages
  case $OS in
    amazon)
      timeout 1800 dnf upgrade -y -q --security ${UPDATE_RELEASE:+"--releasever=$UPDATE_RELEASE"}
      ;;
    debian)
      timeout 300 apt-get -qq -o DPkg::Lock::Timeout=300 update
      mapfile -t packages < <(apt-get -s -o APT::Get::Show-User-Simulation-Note=no upgrade \
        | awk '$1 == "Inst" && /[Ss]ecurity/ { print $2 }')
      if ((${#packages[@]} == 0)); then return 0; fi
      timeout 1800 apt-get -qq -y -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
        install --only-upgrade "${packages[@]}"
      ;;
    *)
      note 'this system has no package manager that is known'
      ;;
  esac
}

needs_restart() {
  if [[ $OS == debian ]]; then
    [[ -e $ROOT/run/reboot-required ]]
  else
    have needs-restarting && ! needs-restarting -r >/dev/null 2>&1
  fi
}

[[ -n $UPDATES ]] || exit 0
if [[ $OS == amazon && -z $UPDATE_RELEASE ]]; then
  note 'the repositories are pinned to the release of the image: nothing newer is seen without UpdateRelease'
fi
before=$(versions)
event updates result begin release "${UPDATE_RELEASE:-that of the image}"
if [[ -n $INTEGRITY && -e $STATE/integrity/aide.db.gz ]] && have aide; then "$OPT/host/run/integrity.sh"; fi
status=0
(upgrade) >"$STATE/updates.log" 2>&1 || status=$?
changed=$(comm -13 <(printf '%s\n' "$before") <(versions))
if ((status != 0)); then
  alarm updates-failed "security updates could not be installed, status $status: $(tail -n 1 "$STATE/updates.log")"
fi
result=failed
if ((status == 0)); then result=ok; fi
event updates result "$result" packages "$(printf '%s' "$changed" | grep -c . || true)" changed "${changed//$'\n'/, }"
if [[ -n $changed && -n $INTEGRITY && -e $STATE/integrity/aide.db.gz ]] && have aide; then
  "$OPT/host/run/integrity.sh" baseline "security updates: ${changed//$'\n'/, }"
fi
if needs_restart; then
  note 'what was updated counts fully after a restart: replace the instance when it suits'
  event updates result restart-needed
fi
exit "$status"
