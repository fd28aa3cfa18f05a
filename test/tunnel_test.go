package test_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/constructs/bastion"
	"github.com/postern-cdk/postern/constructs/session"
	"github.com/postern-cdk/postern/internal/cdktest"
)

// database stands for what awsrds makes, which takes long to compile: a resource
// whose endpoint is known when it is deployed, and a security group.
type database struct {
	awsec2.SecurityGroup
	endpoint databaseEndpoint
}

type databaseEndpoint struct {
	host string
	port *float64
}

func (e databaseEndpoint) Hostname() *string          { return &e.host }
func (e databaseEndpoint) Port() *float64             { return e.port }
func (d database) InstanceEndpoint() databaseEndpoint { return d.endpoint }
func (d database) ClusterEndpoint() databaseEndpoint  { return d.endpoint }
func (d database) ClusterReadEndpoint() databaseEndpoint {
	return databaseEndpoint{"reader." + d.endpoint.host, d.endpoint.port}
}
func (d database) Endpoint() *string                   { return &d.endpoint.host }
func (d database) DomainEndpoint() *string             { return &d.endpoint.host }
func (d database) AttrEndpointAddress() *string        { return &d.endpoint.host }
func (d database) AttrEndpointPort() *string           { return awscdk.Token_AsString(*d.endpoint.port, nil) }
func (d database) AttrPrimaryEndPointAddress() *string { return &d.endpoint.host }
func (d database) AttrPrimaryEndPointPort() *string    { return d.AttrEndpointPort() }

func newDatabase(scope constructs.Construct, id string, vpc awsec2.IVpc) database {
	resource := awscdk.NewCfnResource(scope, jsii.String(id), &awscdk.CfnResourceProps{
		Type: jsii.String("AWS::RDS::DBInstance"),
		Properties: &map[string]any{
			"DBInstanceClass": "db.t4g.micro", "Engine": "postgres", "AllocatedStorage": "20", "StorageEncrypted": true,
			"ManageMasterUserPassword": true, "MasterUsername": "owner",
		},
	})
	group := awsec2.NewSecurityGroup(scope, jsii.String(id+"Group"), &awsec2.SecurityGroupProps{Vpc: vpc, AllowAllOutbound: jsii.Bool(false)})
	return database{group, databaseEndpoint{
		host: *resource.GetAtt(jsii.String("Endpoint.Address"), "").ToString(),
		port: awscdk.Token_AsNumber(resource.GetAtt(jsii.String("Endpoint.Port"), "")),
	}}
}

func tunnelContent(t *testing.T, all map[string]resource, id string) map[string]any {
	t.Helper()
	require.Contains(t, all, id)
	content, ok := all[id].Properties["Content"].(map[string]any)
	require.True(t, ok)
	return content
}

// tunnelledBastion is a bastion with tunnels of each kind through it.
type tunnelledBastion struct {
	bastion  *bastion.Bastion
	orders   *session.Tunnel
	template assertions.Template
	all      map[string]resource
}

func newTunnelledBastion(t *testing.T, app awscdk.App) tunnelledBastion {
	t.Helper()
	stack := cdktest.StackIn(app, "Test")
	vpc := userVpc(stack)
	b := bastion.New(stack, "Bastion", &bastion.Props{Vpc: vpc})
	via := session.Target{Host: b}
	db := newDatabase(stack, "Orders", vpc)
	tunnels := tunnelledBastion{bastion: b}
	tunnels.orders = session.NewTunnel(stack, "OrdersTunnel", &session.TunnelProps{To: session.DatabaseInstance(db), Via: via})
	session.NewTunnel(stack, "Again", &session.TunnelProps{To: session.DatabaseCluster(db), Via: via})
	session.NewTunnel(stack, "Reader", &session.TunnelProps{To: session.DatabaseReader(db), Via: via})
	session.NewTunnel(stack, "Proxy", &session.TunnelProps{
		To: session.DatabaseProxy(database{newGroup(stack, "ProxyGroup", vpc), databaseEndpoint{host: "orders.proxy-abc.us-east-1.rds.amazonaws.com"}}, 3306), Via: via,
	})
	search := database{newGroup(stack, "SearchGroup", vpc), databaseEndpoint{host: "vpc-search.us-east-1.es.amazonaws.com"}}
	session.NewTunnel(stack, "Search", &session.TunnelProps{To: session.SearchDomain(search), Via: via})
	cache := newDatabase(stack, "Cache", vpc)
	session.NewTunnel(stack, "CacheTunnel", &session.TunnelProps{To: session.ReplicationGroup(cache, cache.SecurityGroup), Via: via})
	session.NewTunnel(stack, "Console", &session.TunnelProps{
		To: session.Destination{Port: 8080}, Via: via, Name: "Console-8080", Description: "The console",
		LocalPort: 18080, IdleTimeout: 5 * time.Minute, MaxDuration: time.Hour,
	})
	session.NewTunnel(stack, "Host", &session.TunnelProps{
		To: session.Destination{Host: "db.example.internal", Port: 1521, Peer: newGroup(stack, "HostGroup", vpc)}, Via: via,
	})
	tunnels.orders.GrantTunnel(awsiam.NewRole(stack, jsii.String("Developers"), &awsiam.RoleProps{AssumedBy: awsiam.NewAccountRootPrincipal()}))
	tunnels.template = cdktest.Template(stack)
	tunnels.all = resourcesOf(t, tunnels.template)
	return tunnels
}

func TestTunnelsThroughABastion(t *testing.T) {
	for name, app := range map[string]awscdk.App{"with flags": cdktest.NewApp(t), "without flags": cdktest.NewAppWithoutFlags(t)} {
		t.Run(name, func(t *testing.T) {
			x := newTunnelledBastion(t, app)
			orders := resourcesNamed(x.all, "AWS::SSM::Document", "OrdersTunnel")
			require.Len(t, orders, 1)
			properties := x.all[orders[0]].Properties
			assert.Equal(t, "Session", properties["DocumentType"])
			assert.Equal(t, "NewVersion", properties["UpdateMethod"])
			assert.Equal(t, "Test-OrdersTunnel", properties["Name"])
			content := tunnelContent(t, x.all, orders[0])
			assert.Equal(t, "Port", content["sessionType"])
			assert.JSONEq(t, `{"idleSessionTimeout": "20", "maxSessionDuration": "720"}`, textOf(t, content["inputs"]))
			assert.JSONEq(t, `{
				"host": {"Fn::GetAtt": ["Orders", "Endpoint.Address"]}, "portNumber": {"Fn::GetAtt": ["Orders", "Endpoint.Port"]},
				"type": "LocalPortForwarding", "localPortNumber": "{{ localPortNumber }}"
			}`, textOf(t, content["properties"]))
			assert.Equal(t, []string{"localPortNumber"}, keys(content["parameters"]), "nothing else is the caller's choice")
			assert.Equal(t, "0", content["parameters"].(map[string]any)["localPortNumber"].(map[string]any)["default"])

			reader := tunnelContent(t, x.all, resourcesNamed(x.all, "AWS::SSM::Document", "Reader")[0])
			assert.JSONEq(t, `{"Fn::Join": ["", ["reader.", {"Fn::GetAtt": ["Orders", "Endpoint.Address"]}]]}`, textOf(t, reader["properties"].(map[string]any)["host"]))
			search := tunnelContent(t, x.all, resourcesNamed(x.all, "AWS::SSM::Document", "Search")[0])["properties"].(map[string]any)
			assert.Equal(t, "443", search["portNumber"])
			assert.Equal(t, "vpc-search.us-east-1.es.amazonaws.com", search["host"])
			proxy := tunnelContent(t, x.all, resourcesNamed(x.all, "AWS::SSM::Document", "Proxy")[0])["properties"].(map[string]any)
			assert.Equal(t, "orders.proxy-abc.us-east-1.rds.amazonaws.com:3306", proxy["host"].(string)+":"+proxy["portNumber"].(string))
			cache := tunnelContent(t, x.all, resourcesNamed(x.all, "AWS::SSM::Document", "CacheTunnel")[0])
			assert.JSONEq(t, `{"Fn::GetAtt": ["Cache", "Endpoint.Port"]}`, textOf(t, cache["properties"].(map[string]any)["portNumber"]))

			console := x.all[resourcesNamed(x.all, "AWS::SSM::Document", "Console")[0]].Properties
			assert.Equal(t, "Console-8080", console["Name"])
			content = console["Content"].(map[string]any)
			assert.Equal(t, "The console", content["description"])
			assert.JSONEq(t, `{"idleSessionTimeout": "5", "maxSessionDuration": "60"}`, textOf(t, content["inputs"]))
			assert.JSONEq(t, `{"portNumber": "8080", "type": "LocalPortForwarding", "localPortNumber": "{{ localPortNumber }}"}`, textOf(t, content["properties"]))
			assert.Equal(t, "18080", content["parameters"].(map[string]any)["localPortNumber"].(map[string]any)["default"])
		})
	}
}

func keys(value any) []string {
	var all []string
	for key := range value.(map[string]any) {
		all = append(all, key)
	}
	return all
}

func TestTunnelToAServerlessCache(t *testing.T) {
	stack := cdktest.NewStack(t)
	vpc := userVpc(stack)
	cache := newDatabase(stack, "Cache", vpc)
	session.NewTunnel(stack, "Tunnel", &session.TunnelProps{
		To:      session.ServerlessCache(cache, cache.SecurityGroup),
		Via:     session.Target{InstanceIDs: []string{"i-0123456789abcdef0"}},
		Through: newGroup(stack, "Through", vpc),
	})
	template := cdktest.Template(stack)
	_, content := documentOf(t, template)
	assert.JSONEq(t, `{
		"host": {"Fn::GetAtt": ["Cache", "Endpoint.Address"]}, "portNumber": {"Fn::GetAtt": ["Cache", "Endpoint.Port"]},
		"type": "LocalPortForwarding", "localPortNumber": "{{ localPortNumber }}"
	}`, textOf(t, content["properties"]))
	rule := one(t, resourcesOf(t, template), "AWS::EC2::SecurityGroupIngress")
	assert.Contains(t, textOf(t, rule["GroupId"]), "CacheGroup")
	assert.Contains(t, textOf(t, rule["SourceSecurityGroupId"]), "Through")
	assert.JSONEq(t, `{"Fn::GetAtt": ["Cache", "Endpoint.Port"]}`, textOf(t, rule["FromPort"]))
}

// The way is open for tunnels, once for each target, and for nobody's programs on
// the host.
func TestTunnelsOpenTheWay(t *testing.T) {
	x := newTunnelledBastion(t, cdktest.NewApp(t))
	var rules []string
	for _, kind := range []string{"AWS::EC2::SecurityGroupEgress", "AWS::EC2::SecurityGroupIngress"} {
		for _, r := range ofType(x.all, kind) {
			assert.Equal(t, r.Properties["FromPort"], r.Properties["ToPort"])
			rules = append(rules, strings.TrimPrefix(kind, "AWS::EC2::SecurityGroup")+" "+textOf(t, r.Properties["FromPort"])+" "+r.Properties["Description"].(string))
		}
	}
	assert.ElementsMatch(t, []string{
		`Egress {"Fn::GetAtt":["Orders","Endpoint.Port"]} Tunnel Test-OrdersTunnel`, `Ingress {"Fn::GetAtt":["Orders","Endpoint.Port"]} Tunnel Test-OrdersTunnel`,
		`Egress 3306 Tunnel Test-Proxy`, `Ingress 3306 Tunnel Test-Proxy`,
		`Egress 443 Tunnel Test-Search`, `Ingress 443 Tunnel Test-Search`,
		`Egress {"Fn::GetAtt":["Cache","Endpoint.Port"]} Tunnel Test-CacheTunnel`, `Ingress {"Fn::GetAtt":["Cache","Endpoint.Port"]} Tunnel Test-CacheTunnel`,
		`Egress 1521 Tunnel Test-Host`, `Ingress 1521 Tunnel Test-Host`,
	}, rules)
	assert.Contains(t, environmentOf(t, x.template), `\nEGRESS_PORTS=\n`)
	noCustomResource(t, x.all)
}

func TestTunnelGrant(t *testing.T) {
	x := newTunnelledBastion(t, cdktest.NewApp(t))
	policies := ofType(x.all, "AWS::IAM::Policy")
	require.Len(t, policies, 1)
	var text string
	var starts []map[string]any
	for _, r := range policies {
		text = textOf(t, r.Properties["PolicyDocument"])
		for _, one := range r.Properties["PolicyDocument"].(map[string]any)["Statement"].([]any) {
			statement := one.(map[string]any)
			if strings.Contains(textOf(t, statement["Action"]), "ssm:StartSession") {
				starts = append(starts, statement)
			}
		}
	}
	require.Len(t, starts, 2)
	for _, statement := range starts {
		assert.Equal(t, "Allow", statement["Effect"])
		assert.Equal(t, map[string]any{"ssm:SessionDocumentAccessCheck": "true"}, statement["Condition"].(map[string]any)["BoolIfExists"])
	}
	key, value := x.bastion.SessionTag()
	assert.Contains(t, text, `{"ssm:resourceTag/`+key+`":"`+value+`"}`)
	assert.Contains(t, text, `document/Test-OrdersTunnel`)
	assert.NotContains(t, text, "Console-8080")
	assert.NotContains(t, text, "AWS-Start")
	assert.NotContains(t, text, "SendCommand")
}

func TestTunnelCommands(t *testing.T) {
	stack := cdktest.NewStack(t)
	b := bastion.New(stack, "Bastion", &bastion.Props{Vpc: userVpc(stack)})
	to := session.Destination{Host: "db.example.internal", Port: 5432}
	through := session.NewTunnel(stack, "Orders", &session.TunnelProps{To: to, Via: session.Target{Host: b}})
	assert.Equal(t, `aws ssm start-session --region us-east-1 --target "`+b.InstanceIDCommand()+`" --document-name Test-Orders`, through.StartCommand(0, ""))
	assert.True(t, strings.HasSuffix(through.StartCommand(15432, "it's #42"), ` --document-name Test-Orders --reason 'it'\''s #42' --parameters localPortNumber=15432`))
	byID := session.NewTunnel(stack, "ById", &session.TunnelProps{To: to, Via: session.Target{InstanceIDs: []string{"i-0123456789abcdef0", "i-1123456789abcdef0"}}})
	assert.Equal(t, `aws ssm start-session --region us-east-1 --target "i-0123456789abcdef0" --document-name Test-ById`, byID.StartCommand(0, ""))
	byTag := session.NewTunnel(stack, "ByTag", &session.TunnelProps{To: to, Via: session.Target{Tags: map[string]string{"Team": "data base", "Role": "relay"}}})
	assert.Equal(t, `aws ssm start-session --region us-east-1 --target "$(aws ec2 describe-instances --region us-east-1 --filters 'Name=tag:Role,Values=relay' 'Name=tag:Team,Values=data base'`+
		` Name=instance-state-name,Values=running --query 'sort_by(Reservations[].Instances[],&LaunchTime)[-1].InstanceId' --output text)" --document-name Test-ByTag`, byTag.StartCommand(0, ""))
	odd := session.NewTunnel(stack, "Odd", &session.TunnelProps{To: to, Via: session.Target{Tags: map[string]string{"Role": "a,b"}}})
	assert.Contains(t, odd.StartCommand(0, ""), `--target "INSTANCE_ID"`)
	assert.Contains(t, byTag.VerifyCommand(), "Test-ByTag")
	assert.Contains(t, byTag.SessionsCommand(), "DocumentName=='Test-ByTag'")
	assert.Equal(t, "session tunnel \"Test/Orders\": StartCommand: localPort: 65536 is out of range: use 0 to 65535\nreason: \"a\\nb\" has more than plain characters of one line: use letters, digits, spaces and punctuation of ASCII",
		cdktest.Panic(t, func() { through.StartCommand(65536, "a\nb") }))
	assert.Equal(t, `session tunnel "Test/Orders": GrantTunnel: who: is nil: pass a role, a user or a group`,
		cdktest.Panic(t, func() { through.GrantTunnel(nil) }))
	assert.Equal(t, through.DocumentArn(), through.Access().Documents[0])
}

// Any other host is opened by its security groups, where they are known.
func TestTunnelThroughOtherHosts(t *testing.T) {
	stack := cdktest.NewStack(t)
	vpc := userVpc(stack)
	relay := awsec2.NewSecurityGroup(stack, jsii.String("RelayGroup"), &awsec2.SecurityGroupProps{Vpc: vpc, AllowAllOutbound: jsii.Bool(false)})
	db := newDatabase(stack, "Orders", vpc)
	via := session.Target{Tags: map[string]string{"Role": "relay"}}
	session.NewTunnel(stack, "Opened", &session.TunnelProps{To: session.DatabaseInstance(db), Via: via, Through: relay})
	session.NewTunnel(stack, "Closed", &session.TunnelProps{To: session.DatabaseInstance(db), Via: via})
	all := resourcesOf(t, cdktest.Template(stack))
	for _, kind := range []string{"AWS::EC2::SecurityGroupEgress", "AWS::EC2::SecurityGroupIngress"} {
		found := ofType(all, kind)
		require.Len(t, found, 1, kind)
		for _, r := range found {
			assert.JSONEq(t, `{"Fn::GetAtt":["Orders","Endpoint.Port"]}`, textOf(t, r.Properties["FromPort"]))
			assert.Equal(t, "Tunnel Test-Opened", r.Properties["Description"])
		}
	}
	assert.Equal(t, []string{"the security groups of To.Peer are not opened: those of Via aren't known here. Pass Through, or leave Peer out of To where the way is open [ack: postern:session-tunnel-closed]"},
		warningsOf(stack))
}

// A port by its number and one that is only known later may be the same, and EC2
// refuses the second rule.
func TestTunnelsAndPortsThatMayBeTheSame(t *testing.T) {
	build := func(port int) func() {
		stack := cdktest.NewStack(t)
		vpc := userVpc(stack)
		b := bastion.New(stack, "Bastion", &bastion.Props{Vpc: vpc})
		db := newDatabase(stack, "Orders", vpc)
		b.AllowTo(db.SecurityGroup, 5432, "psql for support")
		to := session.DatabaseInstance(db)
		to.Port = port
		return func() {
			session.NewTunnel(stack, "Tunnel", &session.TunnelProps{To: to, Via: session.Target{Host: b}})
			template := cdktest.Template(stack)
			template.ResourceCountIs(jsii.String("AWS::EC2::SecurityGroupIngress"), jsii.Number(1))
			assert.Contains(t, environmentOf(t, template), `\nEGRESS_PORTS=5432\n`)
		}
	}
	build(5432)()
	assert.Equal(t, `bastion "Test/Bastion": AllowTunnelTo: port: of Test/OrdersGroup is only known when the stack is deployed, where it may be that of another rule: `+
		`name the port by its number in each of them, such as by Port of the tunnel's destination`, cdktest.Panic(t, build(0)))
}

// The rules land in the bastion's stack, the document in its own, and nothing
// refers both ways.
func TestTunnelAcrossStacks(t *testing.T) {
	app := cdktest.NewApp(t)
	net, data, access, doors := cdktest.StackIn(app, "Network"), cdktest.StackIn(app, "Data"), cdktest.StackIn(app, "Access"), cdktest.StackIn(app, "Doors")
	vpc := userVpc(net)
	b := bastion.New(access, "Bastion", &bastion.Props{Vpc: vpc})
	session.NewTunnel(doors, "Orders", &session.TunnelProps{To: session.DatabaseInstance(newDatabase(data, "Orders", vpc)), Via: session.Target{Host: b}})
	cdktest.Template(access).ResourceCountIs(jsii.String("AWS::EC2::SecurityGroupIngress"), jsii.Number(1))
	cdktest.Template(data).ResourceCountIs(jsii.String("AWS::EC2::SecurityGroupIngress"), jsii.Number(0))
	cdktest.Template(doors).ResourceCountIs(jsii.String("AWS::SSM::Document"), jsii.Number(1))
}

func TestTunnelFaults(t *testing.T) {
	stack := cdktest.NewStack(t)
	vpc := userVpc(stack)
	b := bastion.New(stack, "Bastion", &bastion.Props{Vpc: vpc})
	assert.Equal(t, "session tunnel \"Test/Nothing\": To.Port: 0 is out of range: use 1 to 65535\nVia: 0 kinds of targets are given: set exactly one of InstanceIDs, Tags and Host",
		cdktest.Panic(t, func() { session.NewTunnel(stack, "Nothing", nil) }))
	assert.Equal(t, strings.Join([]string{
		`session tunnel "Test/All": To.Host: 169.254.169.254 is the instance metadata, which the agent on the instance forwards nothing to: name the host that you mean: a tunnel leads to no other address of the instance's surroundings`,
		`To.Port: 65536 is out of range: use 1 to 65535`,
		`Via: 2 kinds of targets are given: set exactly one of InstanceIDs, Tags and Host`,
		`Name: "aws-orders" begins with "aws", which is for AWS alone: begin it with another word`,
		`LocalPort: -1 is out of range: use 0 to 65535`,
		`IdleTimeout: 1h30m is out of range: use 1m to 1h`,
	}, "\n"), cdktest.Panic(t, func() {
		session.NewTunnel(stack, "All", &session.TunnelProps{
			To: session.Destination{Host: "169.254.169.254", Port: 65536}, Name: "aws-orders", LocalPort: -1, IdleTimeout: 90 * time.Minute,
			Via: session.Target{Host: b, Tags: map[string]string{"a": "b"}},
		})
	}))
	assert.Contains(t, cdktest.Panic(t, func() {
		session.NewTunnel(stack, "Reserved", &session.TunnelProps{To: session.Destination{Host: "10.0.0.2", Port: 53}, Via: session.Target{Host: b}})
	}), `To.Host: 10.0.0.2 is one of the first four or the last address of 10.0.0.0/16`)
	assert.Contains(t, cdktest.Panic(t, func() {
		session.NewTunnel(stack, "Peer", &session.TunnelProps{To: session.Destination{Port: 53, Peer: b}, Via: session.Target{Host: b}})
	}), `To.Peer: is given without a Host: name the host that it stands for, or leave Peer out for a port of the instance`)
	assert.Contains(t, cdktest.Panic(t, func() {
		session.NewTunnel(stack, "Through", &session.TunnelProps{
			To: session.Destination{Host: "db", Port: 53}, Via: session.Target{Host: b}, Through: newGroup(stack, "Group", vpc),
		})
	}), `Through: is given, and Via.Host has security groups of its own: leave Through out, or name the instances by InstanceIDs or Tags`)
	assert.Equal(t, "bastion \"Test/Bastion\": AllowTunnelTo: port: 0 is out of range: use 1 to 65535\n"+
		`why: "ä" can't be the description of a rule: use up to 255 letters, digits, spaces and ._-:/()#,@[]+=&;{}!$*`+"\n"+
		`target: is nil: pass the instance, database or security group to reach`,
		cdktest.Panic(t, func() { b.AllowTunnelTo(nil, 0, "ä") }))
	assert.Nil(t, stack.Node().TryFindChild(jsii.String("All")), "the tree is untouched")
	// Of a VPC that is looked up, the block is known where the look-up told it.
	other := cdktest.NewStack(t)
	imported := bastion.New(other, "Bastion", &bastion.Props{Vpc: importVpc(other)})
	session.NewTunnel(other, "Unknown", &session.TunnelProps{To: session.Destination{Host: "10.0.0.2", Port: 53}, Via: session.Target{Host: imported}})
}

func TestTwoTunnelsOfOneName(t *testing.T) {
	app := cdktest.NewApp(t)
	via := session.Target{Tags: map[string]string{"Role": "relay"}}
	one, two := cdktest.StackIn(app, "One"), cdktest.StackIn(app, "Two")
	for _, stack := range []awscdk.Stack{one, two} {
		session.NewTunnel(stack, "Tunnel", &session.TunnelProps{To: session.Destination{Host: "db.example.internal", Port: 5432}, Via: via, Name: "Orders"})
	}
	assert.Contains(t, cdktest.Panic(t, func() { cdktest.Template(one) }),
		`[Two/Tunnel] Name: "Orders" is the name of One/Tunnel/Resource too, and an account has one document of a name in a Region: choose another`)
}

func TestTunnelsPassTheRulePacks(t *testing.T) {
	stack := cdktest.StackIn(newJudgedApp(t), "Test")
	session.NewTunnel(stack, "Tunnel", &session.TunnelProps{
		To:  session.Destination{Host: "db.example.internal", Port: 5432},
		Via: session.Target{Tags: map[string]string{"Role": "relay"}},
	})
	addRulePacks(stack)
	assert.Empty(t, findings(stack))
}

func TestRelay(t *testing.T) {
	stack := cdktest.NewStack(t)
	vpc := userVpc(stack)
	db := newDatabase(stack, "Orders", vpc)
	b := bastion.New(stack, "Bastion", &bastion.Props{Vpc: vpc, Host: bastion.Host{Relay: bastion.Relay{Targets: []bastion.RelayTarget{
		{Name: "orders", Host: db.endpoint.host, Port: 5432, Peer: db.SecurityGroup},
		{Name: "search", Host: "search.internal", Port: 443},
	}}}})
	tunnel := session.NewTunnel(stack, "Tunnel", &session.TunnelProps{
		To: session.Destination{Port: bastion.DefaultRelayPort}, Via: session.Target{Host: b}, LocalPort: 1080,
	})
	template := cdktest.Template(stack)
	environment := environmentOf(t, template)
	assert.Contains(t, environment, `\nEGRESS_PORTS=\n`, "people reach none of it")
	assert.Regexp(t, `\\nRELAY=orders=","?\{?.*Endpoint.Address.*:5432 search=search.internal:443\\n`, environment)
	all := resourcesOf(t, template)
	for _, kind := range []string{"AWS::EC2::SecurityGroupEgress", "AWS::EC2::SecurityGroupIngress"} {
		found := ofType(all, kind)
		require.Len(t, found, 1, kind)
		for _, r := range found {
			assert.InDelta(t, 5432, r.Properties["FromPort"], 0)
			assert.Equal(t, "Relay orders", r.Properties["Description"])
		}
	}
	content := tunnelContent(t, all, resourcesNamed(all, "AWS::SSM::Document", "Tunnel")[0])
	assert.JSONEq(t, `{"portNumber": "1080", "type": "LocalPortForwarding", "localPortNumber": "{{ localPortNumber }}"}`, textOf(t, content["properties"]))
	assert.Equal(t, "Tunnel to port 1080 of the instance, from Test/Tunnel", content["description"])
	assert.Equal(t, "Test-Tunnel", tunnel.DocumentName())

	assert.Equal(t, strings.Join([]string{
		`bastion "Test/Bad": Host.Relay.Port: 80 is out of range: use 1024 to 65535`,
		`Host.Relay.Targets[0].Name: "Orders" can't be the name of a target: use lower-case letters, digits and -, up to 31`,
		`Host.Relay.Targets[0].Host: 169.254.169.254 is the instance metadata, which the agent on the instance forwards nothing to: name another host: the relay leads to none of the host's own surroundings`,
		`Host.Relay.Targets[0].Port: 0 is out of range: use 1 to 65535`,
	}, "\n"), cdktest.Panic(t, func() {
		bastion.New(stack, "Bad", &bastion.Props{Vpc: vpc, Host: bastion.Host{Relay: bastion.Relay{
			Port: 80, Targets: []bastion.RelayTarget{{Name: "Orders", Host: "169.254.169.254"}},
		}}})
	}))
}
