#!/bin/bash
# shellcheck disable=SC2034 # the files read and set each other's variables
# Compares programs and configuration with a baseline, and makes the baseline where
# there is none.
#
# integrity.sh [baseline REASON]
#
# Root on the host can change the baseline. It can't do so quietly: its digest is
# told each time and shipped at once, and a copy is in the bucket, where the host
# may write and not delete.

# shellcheck source=internal/host/files/bundle/host/run/begin.sh
source "${BASH_SOURCE[0]%/*}/begin.sh"
STEP=integrity
readonly DIR="$STATE/integrity"
readonly BASE="$DIR/aide.db.gz"
readonly NEW="$DIR/aide.db.new.gz"
readonly CONF="$DIR/aide.conf"

# configuration: AIDE has renamed its keywords in 0.17.
configuration() {
  local version key=database_in
  version=$(aide --version 2>&1 | grep -oE '[0-9]+\.[0-9]+' | head -n 1)
  if [[ $(printf '%s\n0.17\n' "$version" | sort -V | head -n 1) != 0.17 ]]; then key=database; fi
  printf '%s=file:%s\ndatabase_out=file:%s\ngzip_dbout=yes\n' "$key" "$BASE" "$NEW"
  cat "$OPT/host/etc/aide.conf"
}

digest() { sha256sum "$BASE" | cut -d' ' -f1; }

# baseline REASON
baseline() {
  local status=0 key
  rm -f "$NEW"
  aide --init --config="$CONF" >/dev/null 2>"$DIR/said" || status=$?
  if [[ ! -s $NEW ]]; then
    alarm integrity-broken "AIDE made no baseline, status $status: $(tail -n 1 "$DIR/said")"
    exit 1
  fi
  mv -f "$NEW" "$BASE"
  event integrity result baseline reason "$1" sha256 "$(digest)"
  [[ -n $RECORD_BUCKET ]] || return 0
  key="${RECORD_PREFIX}integrity/$INSTANCE_ID/$(date -u +%Y%m%dT%H%M%SZ)-$(digest).db.gz"
  AWS_TIMEOUT=120 retry 3 aws_try s3api put-object --region "$REGION" --bucket "$RECORD_BUCKET" --key "$key" --body "$BASE" \
    || note "the baseline could not be copied to s3://$RECORD_BUCKET/$key: its digest is told above"
}

# compare: AIDE's status has a bit each for new, removed and changed files, and is
# 14 and more where it could not compare.
compare() {
  local status=0 names count
  aide --check --config="$CONF" >"$DIR/report" 2>"$DIR/said" || status=$?
  if ((status > 7)); then
    alarm integrity-broken "AIDE could not compare, status $status: $(tail -n 1 "$DIR/said")"
    exit 1
  fi
  if ((status == 0)); then
    event integrity result same sha256 "$(digest)"
    return
  fi
  mapfile -t names < <(sed -nE 's/^[a-zA-Z?!][^ :]*[ +.<>=A-Za-z-]*: (\/.*)$/\1/p' "$DIR/report" | sort -u)
  count=${#names[@]}
  alarm integrity-changed "$count files differ from the baseline: $(printf '%s ' "${names[@]:0:50}")"
  event integrity result changed files "$count" sha256 "$(digest)"
}

mkdir -p "$DIR"
chmod 0700 "$DIR"
configuration | put "$CONF" 0600
if [[ ${1:-} == baseline ]]; then
  baseline "$2"
elif [[ ! -e $BASE ]]; then
  baseline 'there was none'
else
  compare
fi
