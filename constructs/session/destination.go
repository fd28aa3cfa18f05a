package session

import (
	"strconv"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"

	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/policy"
)

// Destination is what a tunnel leads to: a port of another host, or with an empty
// Host a port of the instance that the tunnel goes through. Functions such as
// [DatabaseInstance] make one of a resource.
type Destination struct {
	// Host is one DNS name or address that the instance resolves and reaches, or a
	// token. Not the instance's own surroundings, such as the metadata: the agent
	// forwards nothing there.
	Host string
	// Port is 1 to 65535. Required, but for a resource that brings its own.
	Port int
	// Peer is what holds the security groups of Host, which then admit the host
	// that the tunnel goes through. Defaults to none: the way is open already.
	Peer awsec2.IConnectable

	// token is a port that is known when the stack is deployed.
	token *float64
}

// Endpoint is where a database listens. Every awsrds.Endpoint is one.
type Endpoint interface {
	Hostname() *string
	Port() *float64
}

// DatabaseInstance is an RDS instance, such as awsrds.NewDatabaseInstance makes.
// Its port is known when the stack is deployed; set Port where another rule names
// it by number.
func DatabaseInstance[E Endpoint](instance interface {
	awsec2.IConnectable
	InstanceEndpoint() E
},
) Destination {
	return endpoint(instance.InstanceEndpoint(), instance)
}

// DatabaseCluster is the writer of an RDS cluster, such as awsrds.NewDatabaseCluster
// makes, or of a DocumentDB cluster. Its port is known when the stack is deployed; set Port where another rule
// names it by number.
func DatabaseCluster[E Endpoint](cluster interface {
	awsec2.IConnectable
	ClusterEndpoint() E
},
) Destination {
	return endpoint(cluster.ClusterEndpoint(), cluster)
}

// DatabaseReader is a reader of an RDS or DocumentDB cluster, or the writer where there is none.
// A document can't say that a tunnel only reads: give the database's user no more.
func DatabaseReader[E Endpoint](cluster interface {
	awsec2.IConnectable
	ClusterReadEndpoint() E
},
) Destination {
	return endpoint(cluster.ClusterReadEndpoint(), cluster)
}

// DatabaseProxy is an RDS Proxy, such as awsrds.NewDatabaseProxy makes, at the port
// of its engine: 5432, 3306 or 1433.
func DatabaseProxy(proxy interface {
	awsec2.IConnectable
	Endpoint() *string
}, port int,
) Destination {
	return Destination{Host: *proxy.Endpoint(), Port: port, Peer: proxy}
}

func endpoint(e Endpoint, peer awsec2.IConnectable) Destination {
	d := Destination{Host: *e.Hostname(), Peer: peer}
	port := e.Port()
	if *awscdk.Token_IsUnresolved(*port) {
		d.token = port
	} else {
		d.Port = int(*port)
	}
	return d
}

// ReplicationGroup is the primary node of an ElastiCache replication group, such as
// awselasticache.NewCfnReplicationGroup makes, with cluster mode off. peer holds its
// security groups.
func ReplicationGroup(group interface {
	AttrPrimaryEndPointAddress() *string
	AttrPrimaryEndPointPort() *string
}, peer awsec2.IConnectable,
) Destination {
	return cache(group.AttrPrimaryEndPointAddress(), group.AttrPrimaryEndPointPort(), peer)
}

// ServerlessCache is an ElastiCache serverless cache, such as
// awselasticache.NewCfnServerlessCache makes. peer holds its security groups.
func ServerlessCache(c interface {
	AttrEndpointAddress() *string
	AttrEndpointPort() *string
}, peer awsec2.IConnectable,
) Destination {
	return cache(c.AttrEndpointAddress(), c.AttrEndpointPort(), peer)
}

func cache(host, port *string, peer awsec2.IConnectable) Destination {
	return Destination{Host: *host, Peer: peer, token: awscdk.Token_AsNumber(port)}
}

// SearchDomain is an OpenSearch domain in a VPC, such as
// awsopensearchservice.NewDomain makes: HTTPS on port 443.
func SearchDomain(domain interface {
	awsec2.IConnectable
	DomainEndpoint() *string
},
) Destination {
	return Destination{Host: *domain.DomainEndpoint(), Port: 443, Peer: domain}
}

// number is the port as a rule takes it.
func (d *Destination) number() float64 {
	if d.Port == 0 && d.token != nil {
		return *d.token
	}
	return float64(d.Port)
}

// text is the port as a document takes it.
func (d *Destination) text() string {
	if d.Port == 0 && d.token != nil {
		return *awscdk.Token_AsString(*d.token, nil)
	}
	return strconv.Itoa(d.Port)
}

// told is the destination for a reader.
func (d *Destination) told() string {
	port := "port " + strconv.Itoa(d.Port)
	if d.Port == 0 {
		port = "its port"
	}
	if d.Host == "" {
		return port + " of the instance"
	}
	return port + " of " + d.Host
}

// validate examines a destination. vpcCidrs are the blocks of the VPC that the
// instance is in, as far as they are known.
func (d *Destination) validate(vpcCidrs []string) error {
	var faults check.Faults
	if d.Host != "" {
		faults.Check("Host", policy.TunnelHost(d.Host, vpcCidrs...))
	} else if d.Peer != nil {
		faults.Add("Peer", "is given without a Host", "name the host that it stands for, or leave Peer out for a port of the instance")
	}
	if d.Port != 0 || d.token == nil {
		faults.Check("Port", check.Port(d.Port))
	}
	return faults.Err()
}
