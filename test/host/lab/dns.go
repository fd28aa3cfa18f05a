//go:build linux

package lab

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// listenDNS answers for *.amazonaws.com and refuses what else is asked, at once:
// cloud-init waits half a minute for a resolver that is silent.
func (c *cloud) listenDNS() error {
	return c.network.aws.do(func() error {
		packets, err := new(net.ListenConfig).ListenPacket(context.Background(), "udp4", dnsIP+":53")
		if err != nil {
			return err
		}
		listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp4", dnsIP+":53")
		if err != nil {
			return err
		}
		c.dns = append(c.dns, packets, listener)
		go func() {
			buffer := make([]byte, 4096)
			for {
				n, from, err := packets.ReadFrom(buffer)
				if err != nil {
					return
				}
				if answer := c.resolve(buffer[:n]); answer != nil {
					_, _ = packets.WriteTo(answer, from)
				}
			}
		}()
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				go c.resolveStream(conn)
			}
		}()
		return nil
	})
}

func (c *cloud) resolveStream(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	for {
		var size uint16
		if binary.Read(conn, binary.BigEndian, &size) != nil {
			return
		}
		question := make([]byte, size)
		if _, err := io.ReadFull(conn, question); err != nil {
			return
		}
		answer := c.resolve(question)
		if answer == nil {
			return
		}
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

func (c *cloud) resolve(packet []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(packet) != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	name := q.Name.String()
	service, _ := serviceOf(name)
	switch {
	case c.noDNS(service):
		m.RCode = dnsmessage.RCodeServerFailure
	case name == "db.internal.":
		address(&m, q, InternalIP)
	case !strings.HasSuffix(name, ".amazonaws.com."):
		m.RCode = dnsmessage.RCodeRefused
	default:
		address(&m, q, serviceIP(slices.Index(services, service)))
	}
	answer, err := m.Pack()
	if err != nil {
		return nil
	}
	return answer
}

// address answers a question for IPv4, and any other with nothing.
func address(m *dnsmessage.Message, q dnsmessage.Question, ip string) {
	if q.Type != dnsmessage.TypeA && q.Type != dnsmessage.TypeALL {
		return
	}
	m.Answers = []dnsmessage.Resource{{
		Header: dnsmessage.ResourceHeader{Name: q.Name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET, TTL: 1},
		Body:   &dnsmessage.AResource{A: [4]byte(net.ParseIP(ip).To4())},
	}}
}
