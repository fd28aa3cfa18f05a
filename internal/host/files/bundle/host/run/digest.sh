#!/bin/bash
# shellcheck disable=SC2034 # the files read and set each other's variables
# The day in one line, for whoever reads one line a day.

# shellcheck source=internal/host/files/bundle/host/run/begin.sh
source "${BASH_SOURCE[0]%/*}/begin.sh"
STEP=digest
readonly SINCE="${1:--24h}"

journal() { journalctl -q -o cat --since="$SINCE" "$@" 2>/dev/null || true; }

# count PATTERN: of standard input
count() { grep -cE "$1" || true; }

# 192.0.2.254 is banned by the check, to see that a ban has an effect.
sshd=$(journal -t sshd -t sshd-session)
ours=$(journal -t postern)
event digest \
  since "$SINCE" \
  logins "$(count '^Accepted ' <<<"$sshd")" \
  users "$(sed -nE 's/^Accepted [a-z/-]+ for ([^ ]+) from .*/\1/p' <<<"$sshd" | sort | uniq -c | sort -rn | head -n 20 | awk '{ printf "%s%s:%s", sep, $2, $1; sep = " " }')" \
  refused "$(count '^(Failed |Invalid user |User .* not allowed|Connection closed by (authenticating|invalid))' <<<"$sshd")" \
  sudo "$(journal -t sudo | count 'COMMAND=')" \
  bans "$(journal -u fail2ban.service | awk '/ Ban / && $NF != "192.0.2.254" { n++ } END { print n + 0 }')" \
  alarms "$(count '"postern":"alarm"' <<<"$ours")" \
  alarm_names "$(grep -oE '"postern":"alarm","name":"[a-z0-9-]+' <<<"$ours" | sed 's/.*"//' | sort | uniq -c | awk '{ printf "%s%s:%s", sep, $2, $1; sep = " " }')" \
  people "$(getent group "$PEOPLE_GROUP" | awk -F: '{ print $4 == "" ? 0 : split($4, a, ",") }')" \
  integrity "$(grep -oE '"postern":"integrity","result":"[a-z]+' <<<"$ours" | tail -n 1 | sed 's/.*"//')" \
  disk "$(df -P "$ROOT/" | awk 'NR == 2 { print $5 }')" \
  failed_units "$(systemctl list-units --no-legend --plain --state=failed 2>/dev/null | awk '{ printf "%s%s", sep, $1; sep = " " }')"
