# shellcheck shell=bash
# Who this instance is, and its address.

INSTANCE_ID=''
IMDS_TOKEN=''
readonly IMDS=http://169.254.169.254/latest

# imds PATH: one value of the instance metadata, by IMDSv2 only.
# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
imds() {
  if [[ -z $IMDS_TOKEN ]]; then
    IMDS_TOKEN=$(curl -sSf --noproxy '*' --connect-timeout 2 --max-time 5 -X PUT \
      -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' "$IMDS/api/token") || return 1
  fi
  curl -sSf --noproxy '*' --connect-timeout 2 --max-time 5 -H "X-aws-ec2-metadata-token: $IMDS_TOKEN" "$IMDS/$1"
}

learn_identity() {
  INSTANCE_ID=$(imds meta-data/instance-id) && [[ $INSTANCE_ID =~ ^i-[0-9a-f]+$ ]] || return 1
  [[ -n $REGION ]] || REGION=$(imds meta-data/placement/region)
}

step_identity() {
  retry 5 learn_identity || die 'the instance metadata service does not answer'
  [[ $REGION =~ ^($(form REGION))$ ]] || die "the instance metadata service gave no region: $REGION"
  export AWS_DEFAULT_REGION=$REGION AWS_REGION=$REGION
}

# The address comes before all that needs the internet: where the subnet gives
# none, there is no way out until it is there.
step_address() {
  if [[ -z $ALLOCATION_ID ]]; then
    note 'no Elastic IP address is configured'
    return
  fi
  retry 5 aws_try ec2 associate-address --region "$REGION" --allocation-id "$ALLOCATION_ID" \
    --instance-id "$INSTANCE_ID" --allow-reassociation \
    || die "could not take the Elastic IP address $ALLOCATION_ID: the notes above say why; the EC2 API must be reachable without it"
}
