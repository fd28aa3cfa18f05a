package cloud

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/postern-cdk/postern/internal/localcfn/schema"
	"github.com/postern-cdk/postern/internal/localcfn/template"
)

// NameProperty gives the property by which users name resources of the type,
// or "" where they can't.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-name.html
func NameProperty(t *schema.Type) string {
	if p, ok := nameProperties[t.Name]; ok {
		return p
	}
	if len(t.PrimaryIdentifier) == 1 {
		p := t.PrimaryIdentifier[0]
		if !t.IsReadOnly(p) && !strings.Contains(p, "/") {
			return p
		}
	}
	short := t.Name[strings.LastIndex(t.Name, "::")+2:]
	for _, p := range []string{short + "Name", "Name", short + "Id"} {
		if n := t.Root.Props[p]; n != nil && !t.IsReadOnly(p) && slices.Contains(t.CreateOnly, p) {
			return p
		}
	}
	return ""
}

var nameProperties = map[string]string{
	"AWS::EC2::SecurityGroup":     "GroupName",
	"AWS::EC2::KeyPair":           "KeyName",
	"AWS::IAM::Policy":            "",
	"AWS::S3::BucketPolicy":       "",
	"AWS::IAM::ManagedPolicy":     "ManagedPolicyName",
	"AWS::Route53::HostedZone":    "",
	"AWS::Route53::RecordSet":     "",
	"AWS::SecretsManager::Secret": "Name",
}

// builder makes one object.
type builder struct {
	cloud  *Cloud
	t      *schema.Type
	o      *Object
	owner  Owner
	seed   string
	making []string // attributes under way
}

func (b *builder) short() string { return b.o.Type[strings.LastIndex(b.o.Type, "::")+2:] }

func (b *builder) service() string {
	parts := strings.Split(b.o.Type, "::")
	return strings.ToLower(parts[1])
}

func (b *builder) hex(salt string, n int) string { return b.cloud.hash(b.seed + "|" + salt)[:n] }

// digits gives decimal digits.
func (b *builder) digits(salt string, n int) string {
	h := b.cloud.hash(b.seed + "|" + salt + "|digits")
	out := make([]byte, n)
	for i := range out {
		out[i] = '0' + h[i]%10
	}
	if out[0] == '0' {
		out[0] = '7'
	}
	return string(out)
}

// random gives upper-case letters and digits, as in generated names.
func (b *builder) random(salt string, n int) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	h := b.cloud.sum(b.seed + "|" + salt + "|random")
	out := make([]byte, n)
	for i := range out {
		out[i] = alphabet[int(h[i])%len(alphabet)]
	}
	return string(out)
}

// text gives a property as text.
func (b *builder) text(property string) string {
	s, _ := template.Text(b.o.Properties[property])
	return s
}

// nameLimits holds how long generated names may be, where it isn't 128.
var nameLimits = map[string]int{
	"AWS::S3::Bucket": 63, "AWS::IAM::Role": 64, "AWS::IAM::User": 64, "AWS::Lambda::Function": 64,
	"AWS::ElasticLoadBalancingV2::LoadBalancer": 32, "AWS::ElasticLoadBalancingV2::TargetGroup": 32,
	"AWS::ElasticLoadBalancing::LoadBalancer": 32, "AWS::SQS::Queue": 80, "AWS::Events::Rule": 64,
	"AWS::RDS::DBInstance": 63, "AWS::RDS::DBCluster": 63, "AWS::ElastiCache::ReplicationGroup": 40,
	"AWS::Scheduler::Schedule": 64, "AWS::EFS::FileSystem": 64,
}

// generate makes a physical name: stack, logical ID and a random part.
func (b *builder) generate() string {
	limit := nameLimits[b.o.Type]
	if limit == 0 {
		limit = 128
	}
	tail := 12
	if limit < 40 {
		tail = 8
	}
	stack, logical := b.owner.StackName, b.owner.LogicalID
	room := limit - tail - 2
	if len(stack)+len(logical) > room {
		half := room / 2
		if len(logical) < half {
			stack = stack[:min(len(stack), room-len(logical))]
		} else if len(stack) < half {
			logical = logical[:room-len(stack)]
		} else {
			stack, logical = stack[:half], logical[:half]
		}
	}
	name := strings.Trim(stack, "-") + "-" + logical + "-" + b.random("name", tail)
	switch b.o.Type {
	case "AWS::S3::Bucket", "AWS::RDS::DBInstance", "AWS::RDS::DBCluster", "AWS::ElastiCache::ReplicationGroup":
		name = strings.ToLower(name)
	case "AWS::SSM::Parameter":
		name = "CFN-" + logical + "-" + b.random("name", tail)
	}
	return name
}

// identify fills in the name and the identifiers.
func (b *builder) identify() {
	if name := NameProperty(b.t); name != "" && b.o.Properties[name] == nil {
		if n := b.t.At(name); n == nil || n.Types == "" || strings.Contains(n.Types, "s") {
			b.o.Properties[name] = b.generate()
		}
	}
	if b.o.Type == "AWS::SQS::Queue" && b.o.Properties["FifoQueue"] == true && !strings.HasSuffix(b.text("QueueName"), ".fifo") {
		b.o.Properties["QueueName"] = b.text("QueueName") + ".fifo"
	}
	var parts []string
	for _, p := range b.t.PrimaryIdentifier {
		parts = append(parts, b.part(p))
	}
	b.o.ID = strings.Join(parts, "|")
	if b.o.ID == "" {
		b.o.ID = b.generate()
	}
	b.o.Ref = b.o.ID
	if f := refs[b.o.Type]; f != nil {
		b.o.Ref = f(b)
	} else if len(b.t.RefReturns) > 0 {
		parts = nil
		for _, p := range b.t.RefReturns {
			if v := b.part(p); v != "" {
				parts = append(parts, v)
			}
		}
		b.o.Ref = strings.Join(parts, "|")
	}
	if b.o.Ref == "" {
		b.o.Ref = b.o.ID
	}
}

// part gives one part of an identifier.
func (b *builder) part(path string) string {
	if s, ok := template.Text(dig(b.o.Properties, strings.Split(path, "/"))); ok {
		return s
	}
	if b.t.IsReadOnly(path) {
		s, _ := template.Text(b.attribute(strings.ReplaceAll(path, "/", ".")))
		return s
	}
	if v, ok := defaults[b.o.Type+"."+path]; ok {
		return v(b)
	}
	if n := b.t.At(path); n != nil && strings.Contains(n.Types, "s") && strings.HasSuffix(path, "Name") {
		b.o.Properties[path] = b.generate()
		return b.text(path)
	}
	return ""
}

// attributes fills in all read-only properties.
func (b *builder) attributes() {
	for _, name := range b.t.AttributeNames() {
		if b.t.IsReadOnly(strings.ReplaceAll(name, ".", "/")) || attributes[b.o.Type][name] != nil {
			b.attribute(name)
			continue
		}
		path := strings.Split(name, ".")
		if dig(b.o.Properties, path) == nil && b.parentGiven(path) {
			b.attribute(name)
		}
	}
}

// parentGiven says that the attribute lies in a part of the resource that exists.
func (b *builder) parentGiven(path []string) bool {
	return len(path) == 1 || dig(b.o.Properties, path[:len(path)-1]) != nil
}

// attribute makes one read-only property.
func (b *builder) attribute(name string) any {
	if v, ok := b.o.Attributes[name]; ok {
		return v
	}
	if slices.Contains(b.making, name) {
		return b.hex(name, 17)
	}
	b.making = append(b.making, name)
	defer func() { b.making = b.making[:len(b.making)-1] }()
	var v any
	if f := attributes[b.o.Type][name]; f != nil {
		v = f(b)
	} else if b.t.TagProperty != "" && name == b.t.TagProperty {
		return nil
	} else {
		v = b.guess(name)
	}
	if v != nil {
		b.o.Attributes[name] = v
	}
	return v
}

// guess derives a value from the attribute's name and type.
func (b *builder) guess(name string) any {
	last := name[strings.LastIndex(name, ".")+1:]
	n := b.t.At(strings.ReplaceAll(name, ".", "/"))
	types := "s"
	if n != nil && n.Types != "" {
		types = n.Types
	}
	switch {
	case strings.Contains(types, "s"):
	case strings.Contains(types, "i"), strings.Contains(types, "n"):
		return number(1)
	case strings.Contains(types, "b"):
		return false
	case strings.Contains(types, "a"):
		return []any{}
	case strings.Contains(types, "o"):
		out := map[string]any{}
		for k, p := range n.Props {
			if p = b.t.Resolve(p); p != nil && p.Types != "" && strings.Contains("sbin", p.Types[:1]) && len(b.making) < 3 {
				out[k] = b.guess(name + "." + k)
			}
		}
		return out
	}
	lower := strings.ToLower(last)
	isIdentifier := slices.Contains(b.t.PrimaryIdentifier, name)
	switch {
	case n != nil && len(n.Enum) > 0 && !isIdentifier:
		for _, good := range []string{"available", "active", "create-complete", "create_complete", "complete", "ready", "enabled", "running", "succeeded", "created", "inservice"} {
			for _, e := range n.Enum {
				if strings.EqualFold(e, good) {
					return e
				}
			}
		}
		return n.Enum[0]
	case strings.HasSuffix(lower, "arn"):
		if !strings.Contains(name, ".") && (lower == "arn" || isIdentifier || strings.EqualFold(last, b.short()+"Arn") || b.onlyArn(name)) {
			return b.arn()
		}
		return b.defaultArn(strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(last, "Arn"), "ARN")), b.hex(name, 17))
	case lower == "ownerid" || strings.HasSuffix(lower, "accountid") || lower == "owneraccountid" || lower == "awsaccountid":
		return b.cloud.Account
	case isIdentifier && strings.HasSuffix(lower, "name"):
		return b.generate()
	case lower == "id" || isIdentifier || strings.EqualFold(last, b.short()+"Id"):
		return b.id()
	case lower == "region":
		return b.cloud.Region
	case strings.HasSuffix(lower, "time"), strings.HasSuffix(last, "At"), strings.HasSuffix(lower, "date"), strings.HasSuffix(lower, "timestamp"):
		return b.o.Created.Format(time.RFC3339)
	case lower == "vpcid":
		return b.vpc()
	case lower == "availabilityzone":
		return b.cloud.Region + "a"
	case lower == "availabilityzoneid":
		return zoneID(b.cloud.Region, b.cloud.Region+"a")
	case strings.HasSuffix(lower, "state") || strings.HasSuffix(lower, "status"):
		return "ACTIVE"
	case strings.HasSuffix(lower, "message") || strings.HasSuffix(lower, "reason"):
		return ""
	case strings.Contains(lower, "version"):
		return "1"
	case strings.HasSuffix(lower, "url"), strings.HasSuffix(lower, "uri"):
		return fmt.Sprintf("https://%s.%s.%s.%s/", b.hex(name, 10), b.service(), b.cloud.Region, b.suffix())
	case strings.Contains(lower, "dnsname"), strings.Contains(lower, "endpoint"), strings.Contains(lower, "domain"), strings.HasSuffix(lower, "address") && !strings.Contains(lower, "ip"):
		return fmt.Sprintf("%s.%s.%s.%s", b.hex(name, 12), b.service(), b.cloud.Region, b.suffix())
	case strings.HasSuffix(lower, "ip"), strings.HasSuffix(lower, "ipaddress"):
		return b.ip(name)
	case strings.HasSuffix(lower, "networkinterfaceid"):
		return "eni-0" + b.hex(name, 16)
	case strings.HasSuffix(lower, "name"):
		if s := b.text(NameProperty(b.t)); s != "" {
			return s
		}
		return b.generate()
	case strings.HasSuffix(lower, "id"):
		return uuid(b.cloud.hash(b.seed + name))
	}
	return strings.ToLower(b.short()) + "-" + b.hex(name, 12)
}

// onlyArn says that the type has no other attribute that is an ARN.
func (b *builder) onlyArn(name string) bool {
	for _, p := range b.t.ReadOnly {
		if p != name && !strings.Contains(p, "/") && strings.HasSuffix(strings.ToLower(p), "arn") {
			return false
		}
	}
	return true
}

func (b *builder) suffix() string {
	if b.cloud.Partition == "aws-cn" {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}

// ip gives an address of the documentation range's likeness.
func (b *builder) ip(salt string) string {
	h := b.cloud.sum(b.seed + salt)
	x, y, z := int(h[0]), int(h[1]), int(h[2])
	if strings.Contains(strings.ToLower(salt), "private") {
		return fmt.Sprintf("10.0.%d.%d", x, 4+y%250)
	}
	return fmt.Sprintf("3.%d.%d.%d", x, y, 1+z%254)
}

// vpc finds the VPC that the resource lies in.
func (b *builder) vpc() string {
	if s := b.text("VpcId"); s != "" {
		return s
	}
	if n := b.cloud.Find("AWS::EC2::Subnet", b.text("SubnetId")); n != nil {
		s, _ := template.Text(n.Properties["VpcId"])
		return s
	}
	return "vpc-0" + b.hex("vpc", 16)
}

// idPrefixes tells services' short IDs from those that are UUIDs.
var idPrefixes = map[string]string{
	"AWS::EC2::VPC": "vpc-", "AWS::EC2::Subnet": "subnet-", "AWS::EC2::SecurityGroup": "sg-",
	"AWS::EC2::SecurityGroupIngress": "sgr-", "AWS::EC2::SecurityGroupEgress": "sgr-",
	"AWS::EC2::InternetGateway": "igw-", "AWS::EC2::EgressOnlyInternetGateway": "eigw-", "AWS::EC2::NatGateway": "nat-",
	"AWS::EC2::RouteTable": "rtb-", "AWS::EC2::NetworkAcl": "acl-", "AWS::EC2::SubnetRouteTableAssociation": "rtbassoc-",
	"AWS::EC2::SubnetNetworkAclAssociation": "aclassoc-", "AWS::EC2::VPCEndpoint": "vpce-", "AWS::EC2::VPCEndpointService": "vpce-svc-",
	"AWS::EC2::FlowLog": "fl-", "AWS::EC2::EIP": "eipalloc-", "AWS::EC2::EIPAssociation": "eipassoc-", "AWS::EC2::Instance": "i-",
	"AWS::EC2::Volume": "vol-", "AWS::EC2::LaunchTemplate": "lt-", "AWS::EC2::InstanceConnectEndpoint": "eice-",
	"AWS::EC2::NetworkInterface": "eni-", "AWS::EC2::PrefixList": "pl-", "AWS::EC2::ClientVpnEndpoint": "cvpn-endpoint-",
	"AWS::EC2::ClientVpnTargetNetworkAssociation": "cvpn-assoc-", "AWS::EC2::VerifiedAccessInstance": "vai-",
	"AWS::EC2::VerifiedAccessGroup": "vagr-", "AWS::EC2::VerifiedAccessEndpoint": "vae-", "AWS::EC2::VerifiedAccessTrustProvider": "vatp-",
	"AWS::EC2::KeyPair": "key-", "AWS::EC2::DHCPOptions": "dopt-", "AWS::EC2::TransitGateway": "tgw-",
	"AWS::EC2::TransitGatewayAttachment": "tgw-attach-", "AWS::EC2::TransitGatewayVpcAttachment": "tgw-attach-",
	"AWS::EC2::VPCPeeringConnection": "pcx-", "AWS::EC2::CustomerGateway": "cgw-", "AWS::EC2::VPNGateway": "vgw-",
	"AWS::EC2::VPNConnection": "vpn-", "AWS::EC2::VPCCidrBlock": "vpc-cidr-assoc-", "AWS::EC2::SubnetCidrBlock": "subnet-cidr-assoc-",
	"AWS::EC2::NetworkInsightsPath": "nip-", "AWS::EC2::IPAM": "ipam-", "AWS::EC2::IPAMPool": "ipam-pool-",
	"AWS::SSM::MaintenanceWindow": "mw-", "AWS::SSM::PatchBaseline": "pb-",
	"AWS::EFS::FileSystem": "fs-", "AWS::EFS::MountTarget": "fsmt-", "AWS::EFS::AccessPoint": "fsap-",
}

func (b *builder) id() string {
	if p, ok := idPrefixes[b.o.Type]; ok {
		return p + "0" + b.hex("id", 16)
	}
	if b.service() == "ec2" {
		return strings.ToLower(b.short()) + "-0" + b.hex("id", 16)
	}
	switch b.o.Type {
	case "AWS::Route53::HostedZone":
		return "Z0" + b.random("id", 12) + b.random("id2", 7)
	case "AWS::IAM::Policy", "AWS::IAM::RolePolicy", "AWS::IAM::UserPolicy", "AWS::IAM::GroupPolicy":
		return b.generate()
	}
	return uuid(b.cloud.hash(b.seed + "|id"))
}

var placeholder = regexp.MustCompile(`\$\{([A-Za-z]+)\}`)

// arn fills in the type's ARN format.
func (b *builder) arn() string {
	if f := arns[b.o.Type]; f != nil {
		return f(b)
	}
	if b.t.Arn == "" {
		return b.defaultArn(kebab(b.short()), b.main())
	}
	return placeholder.ReplaceAllStringFunc(b.t.Arn, func(m string) string {
		key := m[2 : len(m)-1]
		switch key {
		case "Partition":
			return b.cloud.Partition
		case "Region":
			return b.cloud.Region
		case "Account":
			return b.cloud.Account
		}
		if base, ok := strings.CutSuffix(key, "WithPath"); ok {
			path := strings.TrimPrefix(b.text("Path"), "/")
			if s := b.text(base); s != "" {
				return path + s
			}
			return path + b.main()
		}
		if s := b.text(key); s != "" {
			return s
		}
		if b.t.IsReadOnly(key) && !slices.Contains(b.making, key) {
			if s, ok := b.attribute(key).(string); ok {
				return s
			}
		}
		return b.main()
	})
}

// main gives the name or ID that stands for the resource.
func (b *builder) main() string {
	if s := b.text(NameProperty(b.t)); s != "" {
		return s
	}
	for _, p := range b.t.PrimaryIdentifier {
		if s, ok := template.Text(dig(b.o.Properties, strings.Split(p, "/"))); ok {
			return s
		}
		if !strings.HasSuffix(strings.ToLower(p), "arn") && b.t.IsReadOnly(p) && !slices.Contains(b.making, p) {
			if s, ok := b.attribute(p).(string); ok {
				return s
			}
		}
	}
	return b.id()
}

func (b *builder) defaultArn(kind, name string) string {
	return fmt.Sprintf("arn:%s:%s:%s:%s:%s/%s", b.cloud.Partition, b.service(), b.cloud.Region, b.cloud.Account, kind, name)
}

func kebab(s string) string {
	var out strings.Builder
	for i, r := range s {
		if r >= 'A' && r <= 'Z' {
			if i > 0 && s[i-1] >= 'a' && s[i-1] <= 'z' {
				out.WriteByte('-')
			}
			r += 'a' - 'A'
		}
		out.WriteRune(r)
	}
	return out.String()
}
