package host

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/host/settings"
)

// Config is what one host is told. Its zero value makes a host that is hardened,
// records and checks itself, but that signals nobody, ships nothing, lets in
// nobody but the people of EC2 Instance Connect and has no address of its own.
//
// A field marked "may be a token" only reaches the plain environment part of
// the user data, so that its value may be known as late as at deployment. The
// host reads those values as data, never as shell, and refuses one that is not
// of the form AWS documents for it. No other field may hold a token: it ends up
// in the compressed payload, where nothing can be resolved any more.
type Config struct {
	// Region of the host. May be a token. "": asked of the instance metadata.
	Region string
	// StackName is the name or ID of the stack that waits for the signal. May be a token.
	StackName string
	// SignalResource is the logical ID of the Auto Scaling group whose creation
	// or update waits for the signal. May be a token. "": no signal is sent.
	// The instance role needs cloudformation:SignalResource on the stack.
	// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_SignalResource.html
	SignalResource string

	// LifecycleHook is the name of the launch hook of the Auto Scaling group, which
	// takes the host into service when it hears of the success. May be a token. "":
	// none. The instance role needs autoscaling:CompleteLifecycleAction on the group
	// and ec2:DescribeTags, to learn its name: it can't be told, because the group
	// waits for its user data.
	// https://docs.aws.amazon.com/autoscaling/ec2/userguide/lifecycle-hooks-overview.html
	LifecycleHook string

	// BundleBucket and BundleKey say where the bundle is: what the host runs
	// beyond the user data, see [BundleFiles]. Both may be tokens, and [Render]
	// needs both. The instance role needs s3:GetObject on it.
	BundleBucket string
	BundleKey    string
	// BundleSHA256 is the digest of the bundle in 64 hexadecimal digits. [Render]
	// needs it: the host refuses every other bundle.
	BundleSHA256 string

	// LogGroup is the name of the CloudWatch Logs group for the kinds of records
	// that LogGroups doesn't name. May be a token. "": those stay on the host.
	// The instance role needs logs:CreateLogStream and logs:PutLogEvents on it.
	LogGroup string
	// LogGroups gives kinds of records a log group of their own. Each name may be
	// a token.
	LogGroups map[settings.Log]string
	// RecordBucket takes recordings and the baseline of the integrity check, below
	// the prefix of Choices.Recording. May be a token. "": they stay on the host.
	// The instance role needs s3:PutObject there.
	RecordBucket string
	// PeopleBucket holds people's public keys, below the prefix of Choices.People.
	// May be a token. "": nobody has an account of their own. The instance role
	// needs s3:ListBucket for that prefix and s3:GetObject below it.
	PeopleBucket string
	// ParameterPath is where the host keeps its secrets in Parameter Store, such
	// as "/postern/Access/Bastion". May be a token. "": they live as long as the
	// instance. The instance role needs ssm:GetParameter and ssm:PutParameter below
	// it.
	ParameterPath string
	// KeyID of the KMS key that encrypts those parameters: an ID, an ARN or an
	// alias. May be a token. "": the AWS managed key.
	KeyID string
	// MetricsNamespace is where the CloudWatch agent puts mem_used_percent and
	// disk_used_percent, with the one dimension AutoScalingGroupName. Defaults
	// to [DefaultMetricsNamespace]. The instance role needs
	// cloudwatch:PutMetricData for it, and ec2:DescribeTags: the agent learns the
	// group's name from the instance's tags and drops all metrics until it has, so
	// that the EC2 API must be in reach.
	// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-Agent-Configuration-File-Details.html
	MetricsNamespace string

	// AllocationID of the Elastic IP address that the host takes when it
	// boots. May be a token. "": none. The instance role needs
	// ec2:AssociateAddress on the address, its instances and their interfaces.
	AllocationID string
	// EgressPorts are the TCP ports that people may connect to from the host,
	// separated by spaces, such as "22 5432". May be a token. The ports of
	// SSH.PermitOpen are open too. "": none. People reach DNS besides, and nothing
	// else.
	EgressPorts string
	// RelayTargets are what tunnels reach through the relay, and nothing else, each
	// by the host and port as clients ask for them. Defaults to none: no relay.
	RelayTargets []RelayTarget

	// SSH is the configuration of the SSH server.
	SSH SSH
	// Choices are those of the programs on the host. Defaults: recordings below
	// "sessions/", kept on the host for a week after delivery, no session with less
	// than 256 MiB of disk; people's keys below "public-keys/", at most half of the
	// people gone at once, RSA keys from SSH.MinRSABits on; host keys Ed25519 and
	// RSA, and ECDSA with SSH.AllowECDSAHostKey; the relay on DefaultRelayPort.
	Choices settings.Choices
	// Hardening is that of the operating system.
	Hardening Hardening
}

// Hardening of the operating system. Its zero value is the safest.
type Hardening struct {
	// GoldenImage says that the image brings all that the host needs: nothing is
	// installed or upgraded, and what is missing fails the self-check. Programs and
	// configuration (/usr, /opt, /etc, /boot, /root, /srv) are read-only for root too,
	// from the bootstrap on and after each boot, but for what keeps people's accounts.
	// It is not a bound for an intruder who is root: stopping postern-readonly.service
	// makes them writable, and the check "read-only" tells of it.
	GoldenImage bool
	// UpdateRelease of Amazon Linux that security updates are taken from, such as
	// "2023.9.20251117". Amazon Linux pins its repositories to the release of the
	// image. Defaults to that release, in which there is nothing new: updates then
	// come with a newer image. Not used on Debian and Ubuntu, which have no such pin.
	// https://docs.aws.amazon.com/linux/al2023/ug/deterministic-upgrades-usage.html
	UpdateRelease string
	// NoUpdates gives up security updates between replacements.
	NoUpdates bool
	// NoIntegrityCheck gives up the notice of changed programs and configuration.
	NoIntegrityCheck bool
	// NoBans lets one address try to log in as often as it likes. Behind a network
	// load balancer without client addresses, everybody has the same one.
	NoBans bool
	// MutableAuditRules lets root change the audit rules without a reboot.
	MutableAuditRules bool
}

// SSH configures sshd. Its zero value is the safest: public keys only, no root,
// no forwarding of anything, short limits.
type SSH struct {
	// PermitOpen lists what people may forward TCP connections to (ssh -L, -W,
	// ProxyJump), and nothing else. Defaults to none: no forwarding at all.
	PermitOpen []Target
	// MaxAuthTries is how many keys may be tried in one connection, 1 to 10.
	// Defaults to 4.
	MaxAuthTries int
	// MaxSessions is how many sessions one connection may multiplex, 1 to 10.
	// Defaults to 4.
	MaxSessions int
	// LoginGraceTime is how long a client may take to log in, 10 s to 2 min, in
	// whole seconds. Defaults to 30 s.
	LoginGraceTime time.Duration
	// IdleTimeout ends a session in which nothing was typed for so long, 1 min to
	// 12 h, in whole seconds. Defaults to 15 min. The recorder keeps it, and sshd
	// besides from OpenSSH 9.2 on, which counts what is shown as well.
	IdleTimeout time.Duration
	// NoIdleTimeout lets a forgotten session stay open for ever.
	NoIdleTimeout bool
	// MinRSABits is the smallest RSA key accepted, 2048 to 16384. Defaults to
	// 3072. 2048 lets in clients such as mssh, the first EC2 Instance Connect
	// client, which makes keys of that size. Kept from OpenSSH 9.1 on.
	MinRSABits int
	// AllowECDSAHostKey offers the host's NIST P-256 key too, for clients in
	// FIPS mode, which can't verify an Ed25519 key.
	AllowECDSAHostKey bool
	// Banner is shown before login: printable ASCII, up to 1,024 bytes, lines
	// ended by \n. Defaults to none.
	Banner string
}

// Target is one host and port that may be forwarded to.
type Target struct {
	// Host is a name or an address, compared with the text that the client
	// asks for, before any lookup: people must write it the same way. May be a
	// token, such as the endpoint of a database.
	Host string
	// Port is 1 to 65535.
	Port int
}

// Defaults of [Config] and [SSH].
const (
	DefaultMetricsNamespace = "Postern/Bastion"
	DefaultMaxAuthTries     = 4
	DefaultMaxSessions      = 4
	DefaultLoginGraceTime   = 30 * time.Second
	DefaultIdleTimeout      = 15 * time.Minute
	DefaultMinRSABits       = 3072
)

// Defaults of [settings.Choices].
const (
	DefaultRecordPrefix     = "sessions/"
	DefaultKeepDays         = 7
	DefaultMinFreeMiB       = 256
	DefaultPeoplePrefix     = "public-keys/"
	DefaultMaxShrinkPercent = 50
)

func (c Config) withDefaults() Config {
	if c.MetricsNamespace == "" {
		c.MetricsNamespace = DefaultMetricsNamespace
	}
	c.SSH = c.SSH.withDefaults()
	c.Choices = choicesWithDefaults(c.Choices, c.SSH)
	return c
}

func (s SSH) withDefaults() SSH {
	if s.MaxAuthTries == 0 {
		s.MaxAuthTries = DefaultMaxAuthTries
	}
	if s.MaxSessions == 0 {
		s.MaxSessions = DefaultMaxSessions
	}
	if s.LoginGraceTime == 0 {
		s.LoginGraceTime = DefaultLoginGraceTime
	}
	if s.IdleTimeout == 0 && !s.NoIdleTimeout {
		s.IdleTimeout = DefaultIdleTimeout
	}
	if s.MinRSABits == 0 {
		s.MinRSABits = DefaultMinRSABits
	}
	return s
}

// Validate reports every fault of the configuration at once, without rendering
// it. A bundle may still be missing: only [Render] needs it.
func (c Config) Validate() error { return c.withDefaults().validate() }

func (c Config) validate() error {
	var f check.Faults
	for _, v := range c.environment() {
		if v.field != "" {
			f.Check(v.field, v.fault())
		}
	}
	if c.SignalResource != "" && c.StackName == "" {
		f.Add("StackName", "is empty, yet SignalResource is set", "name the stack that waits for the signal")
	}
	if !namespaceForm.MatchString(c.MetricsNamespace) || strings.HasPrefix(c.MetricsNamespace, "AWS/") {
		f.Addf("MetricsNamespace", `use letters, digits and .-_/#: up to 255, not beginning with "AWS/"`, "%q is not a namespace for metrics", c.MetricsNamespace)
	}
	if c.BundleSHA256 != "" && !digestForm.MatchString(c.BundleSHA256) {
		f.Addf("BundleSHA256", "write 64 hexadecimal digits in lower case", "%q is not a SHA-256 digest", c.BundleSHA256)
	}
	for kind := range c.LogGroups {
		f.Check(fmt.Sprintf("LogGroups[%q]", kind), check.OneOf(kind, settings.Logs()...))
	}
	if !check.Token(c.EgressPorts) {
		for _, word := range strings.Fields(c.EgressPorts) {
			if port, err := strconv.Atoi(word); err == nil {
				f.Check("EgressPorts", check.Port(port))
			}
		}
	}
	c.validateRelay(&f)
	f.Merge("SSH", c.SSH.validate())
	f.Merge("Choices", validateChoices(c.Choices, c.SSH))
	f.Merge("Hardening", c.Hardening.validate())
	return f.Err()
}

// bundleFaults tells what of the bundle is missing.
func (c Config) bundleFaults() error {
	var f check.Faults
	for _, v := range []struct{ field, given string }{
		{"BundleBucket", c.BundleBucket}, {"BundleKey", c.BundleKey}, {"BundleSHA256", c.BundleSHA256},
	} {
		if v.given == "" {
			f.Add(v.field, "is empty, yet a host without its bundle can't record", "name the bundle")
		}
	}
	return f.Err()
}

func (h Hardening) validate() error {
	var f check.Faults
	switch {
	case h.UpdateRelease == "":
	case !releaseForm.MatchString(h.UpdateRelease):
		f.Addf("UpdateRelease", "write it as in 2023.9.20251117", "%q is not a release of Amazon Linux 2023", h.UpdateRelease)
	case h.NoUpdates || h.GoldenImage:
		f.Addf("UpdateRelease", "leave it out, or NoUpdates and GoldenImage", "%q is set, yet nothing is updated", h.UpdateRelease)
	}
	return f.Err()
}

func (s SSH) validate() error {
	var f check.Faults
	for i, target := range s.PermitOpen {
		field := fmt.Sprintf("PermitOpen[%d]", i)
		if strings.ContainsAny(target.Host, "\r\n") || !check.Token(target.Host) && !hostForm.MatchString(target.Host) {
			f.Addf(field+".Host", "write one DNS name, IPv4 address or IPv6 address, without wildcards", "%q is not a host", target.Host)
		}
		f.Check(field+".Port", check.Port(target.Port))
	}
	f.Check("MaxAuthTries", check.Between(s.MaxAuthTries, 1, 10))
	f.Check("MaxSessions", check.Between(s.MaxSessions, 1, 10))
	f.Check("LoginGraceTime", seconds(s.LoginGraceTime, 10*time.Second, 2*time.Minute))
	switch {
	case !s.NoIdleTimeout:
		f.Check("IdleTimeout", seconds(s.IdleTimeout, time.Minute, 12*time.Hour))
	case s.IdleTimeout != 0:
		f.Addf("IdleTimeout", "leave out one of the two", "%s is set, yet NoIdleTimeout is set too", s.IdleTimeout)
	}
	f.Check("MinRSABits", check.Between(s.MinRSABits, 2048, 16384))
	switch {
	case check.Token(s.Banner):
		f.Add("Banner", "holds a token, whose value is not known when the payload is compressed", "write the text itself")
	case len(s.Banner) > 1024:
		f.Addf("Banner", "use up to 1024 bytes", "is %d bytes long", len(s.Banner))
	case strings.IndexFunc(s.Banner, func(r rune) bool { return r != '\n' && (r < ' ' || r > '~') }) >= 0:
		f.Add("Banner", "holds something other than printable ASCII", `use letters, digits, punctuation, spaces and \n`)
	}
	return f.Err()
}

// seconds accepts whole seconds from low to high.
func seconds(d, low, high time.Duration) *check.Fault {
	if fault := check.Within(d, low, high); fault != nil {
		return fault
	}
	if d%time.Second != 0 {
		return &check.Fault{Problem: fmt.Sprintf("%s is not a whole number of seconds", d), Fix: "use " + d.Round(time.Second).String()}
	}
	return nil
}

var (
	namespaceForm = regexp.MustCompile(`^[A-Za-z0-9._/#:-]{1,255}$`)
	digestForm    = regexp.MustCompile(`^[0-9a-f]{64}$`)
	releaseForm   = regexp.MustCompile(`^2023\.[0-9]{1,3}\.20[0-9]{6}$`)
	hostForm      = regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?|[0-9A-Fa-f:]{0,30}:[0-9A-Fa-f:.]{0,30})$`)
)

// value is one line of the environment part: a value that may only be known
// when the stack is deployed.
type value struct {
	key   string // as the host knows it
	field string // as the caller knows it; "" where another rule examines it
	given string
	form  *regexp.Regexp // the form AWS documents; the host applies the same
	fix   string
	most  int // bytes that the value can have once it is resolved, for the budget
}

var (
	groupForm  = regexp.MustCompile(`^[A-Za-z0-9._/#-]{1,512}$`)
	bucketForm = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
)

const (
	groupFix  = "write the name of a log group: letters, digits and .-_/# up to 512"
	bucketFix = "write the name of a bucket"
)

// environment lists the deploy-time values in the order they are written. The
// forms are repeated in files/environment.sh, where tokens are resolved.
func (c Config) environment() []value {
	list := []value{
		{
			"REGION", "Region", c.Region, regexp.MustCompile(`^[a-z]{2,5}(-[a-z]+)+-[0-9]+$`),
			"write it as in us-east-1", 32,
		},
		{
			"STACK", "StackName", c.StackName, regexp.MustCompile(`^([A-Za-z][A-Za-z0-9-]{0,127}|arn:aws[a-z-]*:cloudformation:[A-Za-z0-9:/._+-]+)$`),
			"write the name or the ID of a CloudFormation stack", 256,
		},
		{
			"SIGNAL_RESOURCE", "SignalResource", c.SignalResource, regexp.MustCompile(`^[A-Za-z0-9]{1,255}$`),
			"write a logical ID: letters and digits", 255,
		},
		{
			"LIFECYCLE_HOOK", "LifecycleHook", c.LifecycleHook, regexp.MustCompile(`^[A-Za-z0-9_/-]{1,255}$`),
			"write the name of a lifecycle hook: letters, digits and -_/ up to 255", 255,
		},
		{"BUNDLE_BUCKET", "BundleBucket", c.BundleBucket, bucketForm, bucketFix, 63},
		{
			"BUNDLE_KEY", "BundleKey", c.BundleKey, regexp.MustCompile(`^[A-Za-z0-9._/-]{1,255}$`),
			"write the key of an object: letters, digits and ._/- up to 255", 255,
		},
		{"LOG_GROUP", "LogGroup", c.LogGroup, groupForm, groupFix, 512},
	}
	for _, kind := range settings.Logs() {
		list = append(list, value{
			"LOG_GROUP_" + strings.ToUpper(string(kind)), fmt.Sprintf("LogGroups[%q]", kind), c.LogGroups[kind], groupForm, groupFix, 512,
		})
	}
	return append(list,
		value{"RECORD_BUCKET", "RecordBucket", c.RecordBucket, bucketForm, bucketFix, 63},
		value{"PEOPLE_BUCKET", "PeopleBucket", c.PeopleBucket, bucketForm, bucketFix, 63},
		value{
			"PARAMETER_PATH", "ParameterPath", c.ParameterPath, regexp.MustCompile(`^(/[A-Za-z0-9._-]+)+$`),
			"write it as in /postern/Access/Bastion, without a slash at its end", 255,
		},
		value{
			"KEY_ID", "KeyID", c.KeyID, regexp.MustCompile(`^[A-Za-z0-9:/_-]{1,256}$`),
			"write the ID, the ARN or the alias of a KMS key", 256,
		},
		value{
			"ALLOCATION_ID", "AllocationID", c.AllocationID, regexp.MustCompile(`^eipalloc-[0-9a-f]+$`),
			"write the allocation ID of an Elastic IP address, such as eipalloc-0123456789abcdef0", 32,
		},
		value{
			"EGRESS_PORTS", "EgressPorts", c.EgressPorts, regexp.MustCompile(`^[0-9]{1,5}( [0-9]{1,5})*$`),
			"write ports separated by one space each, such as 22 5432", 255,
		},
		value{"PERMIT_OPEN", "", permitOpen(c.SSH.PermitOpen), nil, "", 0},
		value{"RELAY", "", relayTargets(c.RelayTargets), nil, "", 0},
	)
}

func (v value) fault() *check.Fault {
	switch {
	case v.given == "", v.form.MatchString(v.given):
		return nil
	case check.Token(v.given) && !strings.ContainsAny(v.given, "\r\n"):
		return nil
	}
	return &check.Fault{Problem: fmt.Sprintf("%q is not of the form it must have", v.given), Fix: v.fix}
}

// permitOpen writes targets as sshd_config does, separated by spaces.
func permitOpen(targets []Target) string {
	words := make([]string, len(targets))
	for i, t := range targets {
		host := t.Host
		if strings.Contains(host, ":") && !check.Token(host) {
			host = "[" + host + "]"
		}
		words[i] = fmt.Sprintf("%s:%d", host, t.Port)
	}
	return strings.Join(words, " ")
}
