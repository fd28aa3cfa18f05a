# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # the files read and set each other's variables
# Who this instance is, and its address.

INSTANCE_ID=''
readonly IMDS=http://169.254.169.254/latest

# imds ARGUMENT ... PATH: one request to the instance metadata.
imds() {
  curl -sSf --noproxy '*' --connect-timeout 2 --max-time 5 "${@:1:$#-1}" "$IMDS/${*: -1}"
}

# learn_identity: by IMDSv2 only.
# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
learn_identity() {
  local token
  token=$(imds -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' api/token) || return 1
  token="X-aws-ec2-metadata-token: $token"
  INSTANCE_ID=$(imds -H "$token" meta-data/instance-id) || return 1
  [[ $INSTANCE_ID =~ ^i-[0-9a-f]+$ ]] || return 1
  [[ -n $REGION ]] || REGION=$(imds -H "$token" meta-data/placement/region)
}

step_identity() {
  retry 5 learn_identity || die 'the instance metadata service does not answer'
  [[ $REGION =~ ^($(form REGION))$ ]] || die "the instance metadata service gave no region: $REGION"
  export AWS_DEFAULT_REGION=$REGION AWS_REGION=$REGION
}

ADDRESSED=

associate_address() {
  by_program address "$ALLOCATION_ID" || aws_try ec2 associate-address --region "$REGION" --allocation-id "$ALLOCATION_ID" \
    --instance-id "$INSTANCE_ID" --allow-reassociation
}

# The address comes before all that needs the internet, but for the bundle: it
# brings the program that asks for the address, and takes it itself where there is
# no way out without.
step_address() {
  if [[ -z $ALLOCATION_ID ]]; then
    note 'no Elastic IP address is configured'
    return
  fi
  [[ -z $ADDRESSED ]] || return 0
  retry 5 associate_address \
    || die "could not take the Elastic IP address $ALLOCATION_ID: the notes above say why; the EC2 API must be reachable without it"
  ADDRESSED=yes
}
