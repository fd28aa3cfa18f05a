//go:build linux

package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// IMDS is the instance metadata service, version 2 only, by IPv4 and IPv6.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
type IMDS struct {
	mu       sync.Mutex
	values   map[string]string // below meta-data/, dynamic/ and user-data
	tokens   map[string]time.Time
	userData []byte
}

func newIMDS(userData []byte) *IMDS {
	document, _ := json.MarshalIndent(map[string]string{
		"accountId": Account, "architecture": "arm64", "availabilityZone": Region + "a", "imageId": "ami-0123456789abcdef0",
		"instanceId": InstanceID, "instanceType": "t4g.nano", "privateIp": BastionIP, "region": Region, "version": "2017-09-30",
	}, "", "  ")
	now := time.Now().UTC()
	credentials, _ := json.MarshalIndent(map[string]string{
		"Code": "Success", "LastUpdated": now.Format(time.RFC3339), "Type": "AWS-HMAC",
		"AccessKeyId": "ASIALABINSTANCEROLE0", "SecretAccessKey": "the secret of the instance role", "Token": "lab session token",
		"Expiration": now.Add(6 * time.Hour).Format(time.RFC3339),
	}, "", "  ")
	const mac = "02:00:00:00:00:10"
	return &IMDS{userData: userData, tokens: map[string]time.Time{}, values: map[string]string{
		"meta-data/ami-id": "ami-0123456789abcdef0", "meta-data/ami-launch-index": "0", "meta-data/hostname": "ip-10-0-1-10." + Region + ".compute.internal",
		"meta-data/local-hostname": "ip-10-0-1-10." + Region + ".compute.internal", "meta-data/instance-action": "none", "meta-data/instance-id": InstanceID,
		"meta-data/instance-type": "t4g.nano", "meta-data/local-ipv4": BastionIP, "meta-data/mac": mac, "meta-data/profile": "default-hvm",
		"meta-data/public-ipv4": "203.0.113.20", "meta-data/reservation-id": "r-0123456789abcdef0", "meta-data/security-groups": "lab",
		"meta-data/placement/availability-zone": Region + "a", "meta-data/placement/region": Region, "meta-data/placement/availability-zone-id": "euw1-az1",
		"meta-data/services/domain": "amazonaws.com", "meta-data/services/partition": "aws",
		"meta-data/network/interfaces/macs/" + mac + "/device-number": "0", "meta-data/network/interfaces/macs/" + mac + "/local-ipv4s": BastionIP,
		"meta-data/network/interfaces/macs/" + mac + "/interface-id": "eni-0123456789abcdef0", "meta-data/network/interfaces/macs/" + mac + "/mac": mac,
		"meta-data/iam/info":                             `{"Code":"Success","InstanceProfileArn":"arn:aws:iam::` + Account + `:instance-profile/` + RoleName + `"}`,
		"meta-data/iam/security-credentials/" + RoleName: string(credentials),
		"meta-data/autoscaling/target-lifecycle-state":   "InService",
		"dynamic/instance-identity/document":             string(document),
	}}
}

// Set changes a value, such as "meta-data/autoscaling/target-lifecycle-state".
func (m *IMDS) Set(path, value string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[path] = value
}

func (c *cloud) listenIMDS() error {
	return c.network.aws.do(func() error {
		server := &http.Server{
			Handler: http.HandlerFunc(c.serveIMDS), ReadHeaderTimeout: time.Minute, ErrorLog: quiet,
			ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
				return context.WithValue(ctx, connection{}, conn)
			},
		}
		c.servers["imds"] = server
		for _, ip := range []string{imdsIP, imdsIPv6} {
			listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", net.JoinHostPort(ip, "80"))
			if err != nil {
				return err
			}
			go func() { _ = server.Serve(listener) }()
		}
		return nil
	})
}

type connection struct{}

func (c *cloud) serveIMDS(w http.ResponseWriter, r *http.Request) {
	in := &call{r: r}
	in.Service, in.Op, in.Key, in.UserAgent = "imds", r.Method+" "+r.URL.Path, r.URL.Path, r.UserAgent()
	if r.Method == http.MethodPut {
		// With a hop limit of 1 the answer that holds the token dies in the first router behind the instance.
		if conn, ok := r.Context().Value(connection{}).(*net.TCPConn); ok {
			if raw, err := conn.SyscallConn(); err == nil {
				_ = raw.Control(func(fd uintptr) {
					_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_TTL, 1)
					_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, 1)
				})
			}
		}
	}
	c.reply(w, in, c.imds.answer, func(w http.ResponseWriter, _ *call, out any, err error) {
		w.Header().Set("Server", "EC2ws")
		w.Header().Set("Content-Type", "text/plain")
		if err != nil {
			status := http.StatusInternalServerError
			if e, ok := err.(*apiError); ok { //nolint:errorlint // our own, never wrapped
				status = e.status
			}
			w.WriteHeader(status)
			return
		}
		if seconds := r.Header.Get(tokenTTL); seconds != "" && r.Method == http.MethodPut {
			w.Header().Set(tokenTTL, seconds) // the SDKs take a token without it for none
		}
		_, _ = w.Write(out.([]byte))
	})
}

const tokenTTL = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"

var version = regexp.MustCompile(`^/(latest|\d{4}-\d\d-\d\d|1\.0)/`)

func (m *IMDS) answer(c *call) (any, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := version.FindString(c.r.URL.Path)
	path := strings.TrimPrefix(c.r.URL.Path, found)
	if c.r.Header.Get("X-Forwarded-For") != "" {
		return nil, &apiError{status: http.StatusForbidden}
	}
	if c.r.Method == http.MethodPut && path == "api/token" {
		seconds, err := strconv.Atoi(c.r.Header.Get(tokenTTL))
		if err != nil || seconds < 1 || seconds > 21600 {
			return nil, &apiError{status: http.StatusBadRequest}
		}
		token := fmt.Sprintf("LABTOKEN%d==", len(m.tokens))
		m.tokens[token] = time.Now().Add(time.Duration(seconds) * time.Second)
		return []byte(token), nil
	}
	if !time.Now().Before(m.tokens[c.r.Header.Get("X-Aws-Ec2-Metadata-Token")]) {
		return nil, &apiError{status: http.StatusUnauthorized}
	}
	if found == "" && (path == "" || path == "/") {
		return []byte("1.0\n2021-03-23\nlatest"), nil
	}
	if path == "user-data" {
		if m.userData == nil {
			return nil, &apiError{status: http.StatusNotFound}
		}
		return m.userData, nil
	}
	if value, ok := m.values[path]; ok {
		return []byte(value), nil
	}
	folder := strings.TrimSuffix(path, "/") + "/"
	if path == "" {
		return []byte("dynamic\nmeta-data\nuser-data"), nil
	}
	var entries []string
	for name := range m.values {
		rest, ok := strings.CutPrefix(name, folder)
		if !ok {
			continue
		}
		if first, _, deeper := strings.Cut(rest, "/"); deeper {
			rest = first + "/"
		}
		// The role's name is listed without a slash, as everything that is no folder.
		if !slices.Contains(entries, rest) {
			entries = append(entries, rest)
		}
	}
	if len(entries) == 0 {
		return nil, &apiError{status: http.StatusNotFound}
	}
	slices.Sort(entries)
	return []byte(strings.Join(entries, "\n")), nil
}
