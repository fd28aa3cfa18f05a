# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # the files read and set each other's variables
# All else the host runs comes as one archive. Its digest is part of the user
# data, so that whoever can write to the bucket can't run anything here.

readonly OPT="$ROOT/opt/postern"

# bundle_fetch FILE SECONDS: one request. The archive is some megabytes.
bundle_fetch() {
  AWS_TIMEOUT=$2 aws_try s3api get-object --region "$REGION" --bucket "$BUNDLE_BUCKET" --key "$BUNDLE_KEY" "$1"
}

# bundle_reach FILE: an instance without a public address may have no way to S3 before
# it has the Elastic IP address.
bundle_reach() {
  if [[ -n $ALLOCATION_ID && -z $ADDRESSED ]]; then
    if bundle_fetch "$1" 20; then return; fi
    step_address
  fi
  retry 6 bundle_fetch "$1" 120
}

# bundle_unpack FILE FOLDER
bundle_unpack() {
  if type -P tar >/dev/null; then
    tar -xz --no-same-owner -p -C "$2" -f "$1"
  else
    python3 -m tarfile -e "$1" "$2"
  fi
}

# bundle_clean: no half of anything is left.
bundle_clean() { rm -rf "$STATE/bundle" "$OPT.new"; }

step_bundle() {
  local want have from="s3://$BUNDLE_BUCKET/$BUNDLE_KEY"
  want=$(<"$HOST_DIR/bundle.sha256")
  if [[ -f $OPT/sha256 && $(<"$OPT/sha256") == "$want" ]]; then
    note 'the bundle is there already'
    PROVEN=yes
    return
  fi
  UNDO=bundle_clean
  bundle_reach "$STATE/bundle" || die "$from could not be fetched, the notes above say why: the role needs s3:GetObject on it, and the subnet a way to S3, such as its gateway endpoint"
  read -r have _ < <(sha256sum "$STATE/bundle")
  [[ $have == "$want" ]] || die "$from is REFUSED: its SHA-256 is $have and not $want, so that it was changed after synthesis: find out by whom, then deploy again"
  rm -rf "$OPT.new"
  mkdir -p "$OPT.new"
  bundle_unpack "$STATE/bundle" "$OPT.new" || die "$from can't be unpacked: is the disk full?"
  printf '%s\n' "$want" >"$OPT.new/sha256"
  if type -P restorecon >/dev/null; then restorecon -R "$OPT.new" 2>/dev/null || true; fi
  rm -rf "$OPT.old"
  if [[ -d $OPT ]]; then mv -T "$OPT" "$OPT.old"; fi
  mv -T "$OPT.new" "$OPT"
  rm -rf "$OPT.old"
  UNDO=
  PROVEN=yes
  bundle_clean
}
