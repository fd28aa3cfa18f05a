# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # the files read and set each other's variables
# Opens sshd: first for the loopback session of the self-check alone, then for
# everybody.

readonly GATE=postern_gate

# gate_close: port 22 is reached from this host only. Without nft, sshd is open
# during the trial; sessions are recorded, or refused by the recorder, then too.
gate_close() {
  nft_works || return 0
  says nft "table inet $GATE { chain input { type filter hook input priority -10; policy accept; iifname != \"lo\" tcp dport 22 drop; }; }" \
    || note "port 22 is open during the trial: $SAID"
}

gate_open() { nft delete table inet "$GATE" 2>/dev/null || true; }

# reseal: the trial failed.
reseal() {
  UNDO=
  seal
  gate_open
}

# recorder_answers: is its socket there, and does somebody listen?
recorder_answers() { systemctl is-active -q postern-recorder.service && [[ -S $ROOT/run/postern/recorder.sock ]]; }

step_unseal() {
  local said unit
  # A changed recorder that runs already would end people's sessions: it is new with
  # the next boot.
  UNITS_CHANGED=${UNITS_CHANGED//' postern-recorder.service '/ }
  enabled postern-ship.service postern-recorder.service
  now_active postern-ship.service
  now_active postern-recorder.service
  retry 5 recorder_answers || die 'the recorder does not answer: see journalctl -u postern-recorder'
  said=$(sshd_test 2>&1) || die "sshd -t refuses the configuration: $said"
  unit=$(sshd_unit)
  if [[ -e $UNSEALED ]]; then
    if ! systemctl is-active -q "$unit" && ! systemctl is-active -q "$unit.socket"; then
      says systemctl start "$unit" || die "sshd can't be started: $SAID"
    fi
    return
  fi
  gate_close
  UNDO=reseal
  : >"$TRIAL"
  # Ubuntu listens by a socket; elsewhere there is none, or it is off.
  if systemctl is-enabled -q ssh.socket 2>/dev/null; then
    says systemctl start ssh.socket || die "sshd can't be started: $SAID"
  else
    says systemctl restart "$unit" || die "sshd can't be started: $SAID"
  fi
}

step_open() {
  if [[ ! -e $UNSEALED ]]; then
    date -u +%FT%TZ | put "$UNSEALED" 0600
    note 'the recording is proven: sshd is open'
  fi
  UNDO=
  rm -f "$TRIAL"
  gate_open
  care_baseline
}
