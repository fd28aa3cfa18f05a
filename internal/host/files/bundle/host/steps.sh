# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # the files read and set each other's variables
# The steps that the bundle brings, in their order. sshd opens near the end, for a
# trial behind a gate; only a host that passes its self-check keeps it open.

readonly PEOPLE_GROUP=postern
readonly CHECK_USER=postern-check
readonly RELAY_USER=postern-relay
readonly FIRST_UID=20000
readonly LAST_UID=59999
readonly POSTERN_HOST="$OPT/bin/postern-host"
readonly POSTERN_SHELL="$OPT/bin/postern-shell"

# shellcheck source=internal/host/files/bundle/host/common.sh
source "$OPT/host/common.sh"
# shellcheck source=internal/host/files/bundle/host/packages.sh
source "$OPT/host/packages.sh"
# shellcheck source=internal/host/files/bundle/host/accounts.sh
source "$OPT/host/accounts.sh"
# shellcheck source=internal/host/files/bundle/host/confine.sh
source "$OPT/host/confine.sh"
# shellcheck source=internal/host/files/bundle/host/kernel.sh
source "$OPT/host/kernel.sh"
# shellcheck source=internal/host/files/bundle/host/hostkeys.sh
source "$OPT/host/hostkeys.sh"
# shellcheck source=internal/host/files/bundle/host/sshd.sh
source "$OPT/host/sshd.sh"
# shellcheck source=internal/host/files/bundle/host/units.sh
source "$OPT/host/units.sh"
# shellcheck source=internal/host/files/bundle/host/firewall.sh
source "$OPT/host/firewall.sh"
# shellcheck source=internal/host/files/bundle/host/relay.sh
source "$OPT/host/relay.sh"
# shellcheck source=internal/host/files/bundle/host/audit.sh
source "$OPT/host/audit.sh"
# shellcheck source=internal/host/files/bundle/host/fail2ban.sh
source "$OPT/host/fail2ban.sh"
# shellcheck source=internal/host/files/bundle/host/agent.sh
source "$OPT/host/agent.sh"
# shellcheck source=internal/host/files/bundle/host/people.sh
source "$OPT/host/people.sh"
# shellcheck source=internal/host/files/bundle/host/care.sh
source "$OPT/host/care.sh"
# shellcheck source=internal/host/files/bundle/host/readonly.sh
source "$OPT/host/readonly.sh"
# shellcheck source=internal/host/files/bundle/host/unseal.sh
source "$OPT/host/unseal.sh"
# shellcheck source=internal/host/files/bundle/host/selfcheck.sh
source "$OPT/host/selfcheck.sh"

steps() {
  hostkeys_begin
  step packages
  step accounts
  step confine
  step kernel
  step hostkeys
  step sshd
  step units
  step firewall
  step relay
  step audit
  step fail2ban
  step agent
  step people
  step care
  step readonly
  step unseal
  step selfcheck
  step open
}
