// Package settings is what the programs on a bastion are told: the choices that
// were made at synthesis, and the values that were only known at deployment.
//
// The first are [Choices], rendered into the user data as JSON. The second are
// [Environment], KEY=VALUE lines of it that no shell parses. The bootstrap puts
// both below /etc/postern, readable by root only, and [Load] reads them.
package settings

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Where things are on the host.
const (
	ChoicesFile     = "/etc/postern/settings.json"
	EnvironmentFile = "/etc/postern/environment"
	KeysDir         = "/etc/postern/keys"
	StateDir        = "/var/lib/postern"
	LogDir          = "/var/log/postern"
	ShadowDir       = "/var/lib/postern/shadow"
	RunDir          = "/run/postern"
	RecorderSocket  = "/run/postern/recorder.sock"
	BinDir          = "/opt/postern/bin"

	// PeopleGroup is who may log in through sshd.
	PeopleGroup = "postern"
	// FirstUID and LastUID are the range that people's accounts are made in.
	FirstUID = 20000
	LastUID  = 59999
	// CheckUser is the account of the loopback session that proves the recording.
	CheckUser = "postern-check"
	// RelayUser is the account that the relay runs as.
	RelayUser = "postern-relay"
)

// Settings is all that a program on the host is told.
type Settings struct {
	Choices
	Environment
}

// Log is one kind of record, with a stream of its own and, by choice, a log group
// of its own.
type Log string

// The kinds of records.
const (
	LogSessions Log = "sessions" // recordings
	LogCommands Log = "commands" // who ran what
	LogPeople   Log = "people"   // who was added, changed, removed
	LogSSHD     Log = "sshd"
	LogSudo     Log = "sudo"
	LogAudit    Log = "audit"
	LogHost     Log = "host" // bootstrap, checks, alarms and all else in the journal
)

// Logs lists the kinds of records.
func Logs() []Log {
	return []Log{LogSessions, LogCommands, LogPeople, LogSSHD, LogSudo, LogAudit, LogHost}
}

// Environment is what is only known at deployment.
type Environment struct {
	Region     string
	InstanceID string
	StackName  string
	// LogGroup takes the kinds that LogGroups doesn't name. "": nothing is shipped
	// to CloudWatch Logs.
	LogGroup  string
	LogGroups map[Log]string
	// RecordBucket takes the segments of chained records. "": none.
	RecordBucket string
	// PeopleBucket holds the public keys. "": nobody is added.
	PeopleBucket string
	// ParameterPath is where secrets of the host are kept in Parameter Store, such
	// as "/postern/Access/Bastion". "": they live as long as the instance.
	ParameterPath string
	// KeyID encrypts those parameters. "": the AWS managed key.
	KeyID string
	// RelayTargets are what the relay leads to. None: there is no relay.
	RelayTargets []RelayTarget
}

// RelayTarget is what a tunnel may reach through the relay.
type RelayTarget struct {
	// Name of the target in events.
	Name string
	// Host and Port as clients ask for them.
	Host string
	Port int
}

// Group is the log group of a kind, or "".
func (e *Environment) Group(kind Log) string {
	if group := e.LogGroups[kind]; group != "" {
		return group
	}
	return e.LogGroup
}

// Commands says what becomes of a session that brings a command: ssh host cmd,
// scp, sftp.
type Commands string

// What becomes of commands.
const (
	CommandsRefused  Commands = ""
	CommandsRecorded Commands = "record"
)

// Choices are made at synthesis. The zero value is the safest.
type Choices struct {
	Recording    Recording    `json:"recording"`
	People       People       `json:"people"`
	Certificates Certificates `json:"certificates"`
	SecondFactor SecondFactor `json:"secondFactor"`
	HostKeys     HostKeys     `json:"hostKeys"`
	Relay        Relay        `json:"relay"`
}

// Recording of sessions.
type Recording struct {
	Commands Commands `json:"commands,omitempty"`
	// Input records keystrokes too, passwords that are typed into programs among
	// them.
	Input bool `json:"input,omitempty"`
	// Prefix of the objects in RecordBucket, with a slash at its end.
	Prefix string `json:"prefix"`
	// KeepDays is how long delivered records stay on the host too.
	KeepDays int `json:"keepDays"`
	// MinFreeMiB of disk below which sessions end and no new one begins.
	MinFreeMiB int `json:"minFreeMiB"`
	// IdleTimeout ends a session in which nothing was typed for so long. 0: never.
	IdleTimeout time.Duration `json:"idleTimeout,omitempty"`
}

// People and their keys.
type People struct {
	// Prefix of the public keys in PeopleBucket, with a slash at its end.
	Prefix string `json:"prefix"`
	// MaxShrinkPercent of the people may disappear in one listing; where more do,
	// nobody is removed.
	MaxShrinkPercent int `json:"maxShrinkPercent"`
	// AllowEmpty lets an empty listing remove everybody.
	AllowEmpty bool `json:"allowEmpty,omitempty"`
	MinRSABits int  `json:"minRSABits"`
	// FIPSKeysOnly takes ECDSA and RSA keys only.
	FIPSKeysOnly bool `json:"fipsKeysOnly,omitempty"`
	// WarnKeyAge and MaxKeyAge are counted from when the object was written. 0: no limit.
	WarnKeyAge time.Duration `json:"warnKeyAge,omitempty"`
	MaxKeyAge  time.Duration `json:"maxKeyAge,omitempty"`
	// Sudo names who may become root, with a one-time password.
	Sudo []string `json:"sudo,omitempty"`
}

// Certificates of people, signed by an authority.
type Certificates struct {
	// Authorities are public keys, as in authorized_keys.
	Authorities []string `json:"authorities,omitempty"`
	// RevocationKey is the object in PeopleBucket that holds the revocation list
	// (KRL). "": none.
	RevocationKey string `json:"revocationKey,omitempty"`
}

// SecondFactor is a one-time password.
type SecondFactor struct {
	AtLogin bool `json:"atLogin,omitempty"`
}

// HostKeys of sshd.
type HostKeys struct {
	Kinds []string `json:"kinds"`
	// Version is part of where they are kept: another one makes new keys.
	Version string `json:"version,omitempty"`
	// Next is the version after this one: its keys are made ahead and told to
	// clients that log in (UpdateHostKeys), so that they know them when Version
	// becomes it. "": none.
	Next string `json:"next,omitempty"`
	// Certificate is signed by an authority of the user's: the host publishes its
	// keys and takes the certificates that it finds beside them.
	Certificate bool `json:"certificate,omitempty"`
}

// Relay for tunnels that reach several targets.
type Relay struct {
	// Port of the loopback interface that it listens on.
	Port int `json:"port"`
}

// Load reads what the bootstrap wrote, below root, which is "" but in tests.
func Load(root string) (Settings, error) {
	var s Settings
	text, err := os.ReadFile(filepath.Join(root, ChoicesFile))
	if err != nil {
		return s, err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&s.Choices); err != nil {
		return s, fmt.Errorf("%s: %w", ChoicesFile, err)
	}
	text, err = os.ReadFile(filepath.Join(root, EnvironmentFile))
	if err != nil {
		return s, err
	}
	values := map[string]string{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		key, value, found := strings.Cut(line, "=")
		if !found {
			return s, fmt.Errorf("%s: %q is not KEY=VALUE", EnvironmentFile, line)
		}
		values[key] = value
	}
	s.Environment = Environment{
		Region:        values["REGION"],
		InstanceID:    values["INSTANCE_ID"],
		StackName:     values["STACK"],
		LogGroup:      values["LOG_GROUP"],
		LogGroups:     map[Log]string{},
		RecordBucket:  values["RECORD_BUCKET"],
		PeopleBucket:  values["PEOPLE_BUCKET"],
		ParameterPath: values["PARAMETER_PATH"],
		KeyID:         values["KEY_ID"],
	}
	if s.RelayTargets, err = relayTargets(values["RELAY"]); err != nil {
		return s, fmt.Errorf("%s: RELAY: %w", EnvironmentFile, err)
	}
	for _, kind := range Logs() {
		if group := values["LOG_GROUP_"+strings.ToUpper(string(kind))]; group != "" {
			s.LogGroups[kind] = group
		}
	}
	return s, nil
}

// relayTargets reads NAME=HOST:PORT words.
func relayTargets(text string) ([]RelayTarget, error) {
	var list []RelayTarget
	for word := range strings.FieldsSeq(text) {
		name, address, found := strings.Cut(word, "=")
		host, digits, err := net.SplitHostPort(address)
		port, err2 := strconv.ParseUint(digits, 10, 16)
		if !found || name == "" || host == "" || port == 0 || err != nil || err2 != nil {
			return nil, fmt.Errorf("%q is not NAME=HOST:PORT", word)
		}
		list = append(list, RelayTarget{Name: name, Host: host, Port: int(port)})
	}
	return list, nil
}
