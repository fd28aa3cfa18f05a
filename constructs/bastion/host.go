package bastion

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"

	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/host"
	"github.com/postern-cdk/postern/internal/host/settings"
)

// Host is what runs on the instance: recording, people, their second factor, the
// host's identity, hardening. Its zero value is the safest: sessions are recorded
// and commands refused, nobody becomes root, host keys outlive the instance.
type Host struct {
	// Recording of sessions. It can't be switched off.
	Recording Recording
	// People who have an account of their own, by the public keys in a bucket.
	People People
	// Certificates that people may log in with, signed by an authority of yours.
	Certificates Certificates
	// HostKeys by which clients know the bastion.
	HostKeys HostKeys
	// Hardening of the operating system.
	Hardening Hardening
	// Relay leads one tunnel on to several targets, or to one by the name that
	// clients check. Defaults to none.
	Relay Relay
	// Bundle is the file that bin/hostbundle made of what runs on the host, for
	// where the app is synthesized without Go. Defaults to building it, once for
	// each version: see [Toolchain].
	Bundle string
}

// Recording of sessions.
type Recording struct {
	// Commands says what becomes of a session that brings a command: ssh bastion
	// COMMAND, scp, sftp. Defaults to CommandsRefused.
	Commands Commands
	// Input records what is typed too, passwords that programs ask for among it.
	// Defaults to what is shown only.
	Input bool
	// KeepDays is how long delivered records stay on the instance too, 1 to 3650.
	// Defaults to 7.
	KeepDays int
	// MinFreeMiB of disk below which sessions end and no new one begins, because
	// it couldn't be recorded, 64 to 1048576. Half of it is kept in a file, for the
	// records of all others where one person's files fill the disk: then only that
	// person's sessions end. Session Manager stays open. Defaults to 256.
	MinFreeMiB int
}

// Commands says what becomes of sessions that bring a command.
type Commands string

const (
	// CommandsRefused, the default, lets in sessions with a terminal only.
	CommandsRefused Commands = ""
	// CommandsRecorded lets commands, scp and sftp run and records their streams:
	// files come in and go out, and what is in them is not examined.
	CommandsRecorded Commands = "record"
)

// People are the objects PREFIX NAME.pub of a bucket, each with the public keys of
// one person. Accounts follow it within a minute.
type People struct {
	// Bucket with the public keys. Whoever may write to it lets people in.
	// Defaults to the bucket of the records, where versioning tells who was let
	// in when; where that belongs to a log account, to a new one.
	Bucket awss3.IBucket
	// Prefix of the objects, with a slash at its end. Defaults to "public-keys/".
	Prefix string
	// Sudo names who may become root, with a one-time password. Root on the host
	// can end the recording, though not unseen. Defaults to nobody.
	Sudo []string
	// SecondFactor asks for a one-time password at login too.
	SecondFactor bool
	// MaxShrinkPercent of the people may disappear at once, 1 to 100; where more
	// do, nobody is removed and an alarm is raised. Defaults to 50.
	MaxShrinkPercent int
	// AllowEmpty lets an empty listing remove everybody.
	AllowEmpty bool
	// FIPSKeysOnly takes ECDSA and RSA keys only.
	FIPSKeysOnly bool
	// WarnKeyAge is the age from which a key is warned of, 24 hours to 10 years,
	// counted from when its object was written. Defaults to never.
	WarnKeyAge time.Duration
	// MaxKeyAge is the age from which a key is refused. Defaults to never.
	MaxKeyAge time.Duration
}

// Certificates that people may log in with.
type Certificates struct {
	// Authorities are the public keys of those who sign, each one line as
	// ssh-keygen writes it. A certificate's principals are names of people.
	// Defaults to none: keys only.
	Authorities []string
	// RevocationKey is the object in the people's bucket with the list of revoked
	// keys and certificates (a KRL, ssh-keygen -k). Defaults to none.
	RevocationKey string
}

// HostKeys by which clients know the bastion. They are kept encrypted in
// Parameter Store, so that a successor has the same ones, and outlive the stack.
type HostKeys struct {
	// Version is part of where they are kept: another one makes new keys. Letters,
	// digits, ".", "-" and "_", up to 64. Defaults to "1".
	Version string
	// NextVersion is made ahead and told to clients that log in, so that they
	// know its keys when Version becomes it. Defaults to none.
	NextVersion string
	// Certificate makes the host present the certificates of its keys that it
	// finds in Parameter Store, signed by an authority of yours.
	Certificate bool
	// Ephemeral gives up that host keys survive the instance: each one has its
	// own, and people learn to accept changed keys.
	Ephemeral bool
}

// Hardening of the operating system.
type Hardening = host.Hardening

// Relay is a SOCKS 5 and HTTP CONNECT proxy on the loopback interface of the host,
// for tunnels of Session Manager alone: people on the host don't reach it, and it
// reaches its targets and nothing else. A client asks for a target by its name,
// and so checks the target's certificate against that name. session.NewTunnel with
// session.Destination{Port: bastion.DefaultRelayPort} leads to it.
type Relay struct {
	// Targets that it leads to. Defaults to none, and then there is no relay.
	Targets []RelayTarget
	// Port that it listens on, 1024 to 65535. Defaults to DefaultRelayPort.
	Port int
}

// RelayTarget is what a relay leads to.
type RelayTarget struct {
	// Name by which the log names the target: lower-case letters, digits and -, up to
	// 31.
	Name string
	// Host is one DNS name or address as clients ask for it, or a token. The host
	// resolves it for each connection, and refuses what it finds among its own
	// addresses, loopback, link-local and metadata ones.
	Host string
	// Port is 1 to 65535.
	Port int
	// Peer holds the security groups of the target, which then admit the bastion.
	// Defaults to none: the way is open already.
	Peer awsec2.IConnectable
}

// DefaultRelayPort is where a relay listens.
const DefaultRelayPort = host.DefaultRelayPort

func (r *Relay) targets() []host.RelayTarget {
	list := make([]host.RelayTarget, len(r.Targets))
	for i, t := range r.Targets {
		list[i] = host.RelayTarget{Name: t.Name, Host: t.Host, Port: t.Port}
	}
	return list
}

// LogGroups gives kinds of records a log group of their own. nil: LogGroup.
type LogGroups struct {
	Sessions awslogs.ILogGroup // recordings
	Commands awslogs.ILogGroup // who ran what
	People   awslogs.ILogGroup // who was added, changed, removed
	SSHD     awslogs.ILogGroup
	Sudo     awslogs.ILogGroup
	Audit    awslogs.ILogGroup
}

// kindOf is a kind of record with its group.
type kindOf struct {
	kind  settings.Log
	group awslogs.ILogGroup
}

func (g *LogGroups) list() []kindOf {
	all := []kindOf{
		{settings.LogSessions, g.Sessions},
		{settings.LogCommands, g.Commands},
		{settings.LogPeople, g.People},
		{settings.LogSSHD, g.SSHD},
		{settings.LogSudo, g.Sudo},
		{settings.LogAudit, g.Audit},
	}
	return slices.DeleteFunc(all, func(k kindOf) bool { return k.group == nil })
}

// Where objects are in the buckets.
const (
	recordPrefix = host.DefaultRecordPrefix
	peoplePrefix = host.DefaultPeoplePrefix
)

func (p *People) prefix() string { return cmp.Or(p.Prefix, peoplePrefix) }

// choices are what the programs on the host go by.
func (h *Host) choices() settings.Choices {
	return settings.Choices{
		Recording: settings.Recording{
			Commands:   settings.Commands(h.Recording.Commands),
			Input:      h.Recording.Input,
			Prefix:     recordPrefix,
			KeepDays:   h.Recording.KeepDays,
			MinFreeMiB: h.Recording.MinFreeMiB,
		},
		People: settings.People{
			Prefix:           h.People.prefix(),
			Sudo:             h.People.Sudo,
			MaxShrinkPercent: h.People.MaxShrinkPercent,
			AllowEmpty:       h.People.AllowEmpty,
			FIPSKeysOnly:     h.People.FIPSKeysOnly,
			WarnKeyAge:       h.People.WarnKeyAge,
			MaxKeyAge:        h.People.MaxKeyAge,
		},
		SecondFactor: settings.SecondFactor{AtLogin: h.People.SecondFactor},
		Certificates: settings.Certificates{
			Authorities: h.Certificates.Authorities, RevocationKey: h.Certificates.RevocationKey,
		},
		HostKeys: settings.HostKeys{
			Version: h.HostKeys.Version, Next: h.HostKeys.NextVersion, Certificate: h.HostKeys.Certificate,
		},
		Relay: settings.Relay{Port: h.Relay.Port},
	}
}

// fieldOf is how a user of this package writes a field of host.Config.
func fieldOf(field string) string {
	if rest, ok := strings.CutPrefix(field, "Choices."); ok {
		if rest == "HostKeys.Next" {
			rest = "HostKeys.NextVersion"
		}
		return "Host." + rest
	}
	if rest, ok := strings.CutPrefix(field, "RelayTargets"); ok {
		return "Host.Relay.Targets" + rest
	}
	if field == "Choices" {
		return "Host"
	}
	if strings.HasPrefix(field, "Hardening") {
		return "Host." + field
	}
	return field
}

func (h *Host) validate(faults *check.Faults) {
	kept := h.HostKeys
	switch {
	case !kept.Ephemeral:
	case len(h.People.Sudo) > 0 || h.People.SecondFactor:
		faults.Add("Host.HostKeys.Ephemeral", "leaves nowhere to keep the secrets of one-time passwords", "leave it out, or both Host.People.Sudo and Host.People.SecondFactor")
	case kept.Version != "" || kept.NextVersion != "" || kept.Certificate:
		faults.Add("Host.HostKeys.Ephemeral", "is set together with choices for keys that are kept", "leave it out, or the other fields of HostKeys")
	}
	if h.Bundle != "" && check.Token(h.Bundle) {
		faults.Add("Host.Bundle", "is a token, and the file is read now", "write the path of the file")
	}
}

// ports writes TCP ports as the host reads them: each once, in order.
func ports(list []int) string {
	list = slices.Compact(slices.Sorted(slices.Values(list)))
	words := make([]string, len(list))
	for i, port := range list {
		words[i] = strconv.Itoa(port)
	}
	return strings.Join(words, " ")
}
