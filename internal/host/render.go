package host

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/postern-cdk/postern/internal/check"
)

// Limit is how many bytes of user data EC2 takes, before base64.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html
const Limit = 16384

//go:embed files
var files embed.FS

// UserData is what EC2 hands to cloud-init.
type UserData struct {
	// Script begins with #! and may hold the tokens that [Config] held. It is
	// the user data itself, not encoded: EC2 wants base64 of it once the tokens
	// are resolved. Nothing may be appended to it.
	Script string
	// Parts lists what it is made of, the largest first.
	Parts []Part

	allowance int
}

// Part is one part of the user data.
type Part struct {
	// Name is that of a file under files/ or of a rendered one, or
	// "(unpacker)" or "(environment)".
	Name string
	// Bytes is its own size, before compression.
	Bytes int
	// Packed is its share of the user data. The shares add up to [UserData.Size].
	Packed int
}

// Size is the raw size to hold against [Limit], with each token counted as the
// longest value that it can resolve to.
func (u *UserData) Size() int { return len(u.Script) + u.allowance }

// Render makes user data from a configuration. The same configuration gives the
// same bytes.
func Render(c Config) (*UserData, error) { return render(c, Limit) }

func render(c Config, limit int) (*UserData, error) {
	c = c.withDefaults()
	if err := errors.Join(c.validate(), c.bundleFaults()); err != nil {
		return nil, err
	}
	payload, err := c.payload()
	if err != nil {
		return nil, err
	}
	packed, err := pack(payload)
	if err != nil {
		return nil, err
	}
	unpacker, err := files.ReadFile("files/userdata.sh")
	if err != nil {
		return nil, err
	}
	head := strings.Replace(string(unpacker), payloadMark+"\n", packed+"\n", 1)
	environment, resolved := c.environmentLines()

	u := &UserData{Script: head + environment, allowance: resolved - len(environment)}
	shares, err := share(payload, len(packed))
	if err != nil {
		return nil, err
	}
	u.Parts = append(shares,
		Part{"(unpacker)", len(head) - len(packed), len(head) - len(packed)},
		Part{"(environment)", resolved, resolved})
	slices.SortStableFunc(u.Parts, func(a, b Part) int { return cmp.Compare(b.Packed, a.Packed) })
	if u.Size() > limit {
		return nil, u.overBudget(limit)
	}
	return u, nil
}

func (u *UserData) overBudget(limit int) error {
	list := make([]string, len(u.Parts))
	for i, p := range u.Parts {
		list[i] = fmt.Sprintf("%s %d", p.Name, p.Packed)
	}
	var f check.Faults
	f.Addf("UserData", "make the largest part smaller: "+strings.Join(list, ", "),
		"is %d bytes, %d more than the %d that EC2 takes", u.Size(), u.Size()-limit, limit)
	return f.Err()
}

// payloadMark stands in files/userdata.sh where the payload goes.
const payloadMark = "@PAYLOAD@"

var token = regexp.MustCompile(`\$\{Token\[[^\]]*\]\}`)

// environmentLines writes the environment part and says how long it can become.
func (c Config) environmentLines() (text string, resolved int) {
	var b strings.Builder
	for _, v := range c.environment() {
		line := v.key + "=" + v.given + "\n"
		b.WriteString(line)
		tokens := token.FindAllString(v.given, -1)
		most := v.most
		if most == 0 {
			most = 255 // a DNS name
		}
		resolved += len(line) - len(strings.Join(tokens, "")) + most*len(tokens)
	}
	return b.String(), resolved
}

// file is one file of the payload.
type file struct {
	name string
	data []byte
}

// payload lists the files that the host unpacks, in the order of their names.
func (c Config) payload() ([]file, error) {
	entries, err := files.ReadDir("files")
	if err != nil {
		return nil, err
	}
	var list []file
	for _, entry := range entries {
		if entry.IsDir() || entry.Name() == "userdata.sh" {
			continue
		}
		data, err := files.ReadFile(path.Join("files", entry.Name()))
		if err != nil {
			return nil, err
		}
		list = append(list, file{entry.Name(), withoutComments(data)})
	}
	choices, err := json.Marshal(c.Choices)
	if err != nil {
		return nil, err
	}
	agent, err := c.agentConfig()
	if err != nil {
		return nil, err
	}
	list = append(list,
		file{"bundle.sha256", []byte(c.BundleSHA256 + "\n")},
		file{"settings.json", append(choices, '\n')},
		file{"choices.sh", c.choices()},
		file{"agent.json", agent},
		file{"sshd.conf", c.dropIn()})
	if c.SSH.Banner != "" {
		list = append(list, file{"banner", []byte(strings.TrimRight(c.SSH.Banner, "\n") + "\n")})
	}
	slices.SortFunc(list, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return list, nil
}

var commentLine = regexp.MustCompile(`(?m)^[ \t]*#([^!\n].*)?\n|^\n`)

// withoutComments leaves out lines that hold nothing but a comment, and empty
// ones: a third of the bytes, for readers of the repository and not of the host.
// No file may hold a here-document in which such a line means something.
func withoutComments(script []byte) []byte { return commentLine.ReplaceAll(script, nil) }

// pack makes base64(gzip(tar)) that depends on nothing but the files.
func pack(list []file) (string, error) {
	var zipped bytes.Buffer
	gz, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		return "", err
	}
	archive := tar.NewWriter(gz)
	for _, f := range list {
		mode := int64(0o600)
		if bytes.HasPrefix(f.data, []byte("#!")) {
			mode = 0o700
		}
		header := &tar.Header{Name: f.name, Mode: mode, Size: int64(len(f.data)), ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
		if err := archive.WriteHeader(header); err != nil {
			return "", err
		}
		if _, err := archive.Write(f.data); err != nil {
			return "", err
		}
	}
	if err := archive.Close(); err != nil {
		return "", err
	}
	if err := gz.Close(); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(zipped.Bytes()), nil
}

// share divides the packed bytes among the files in proportion to what each
// compresses to by itself.
func share(list []file, packed int) ([]Part, error) {
	alone := make([]int, len(list))
	sum := 0
	for i, f := range list {
		text, err := pack([]file{f})
		if err != nil {
			return nil, err
		}
		alone[i] = len(text)
		sum += alone[i]
	}
	parts := make([]Part, len(list))
	given := 0
	for i, f := range list {
		parts[i] = Part{f.name, len(f.data), packed * alone[i] / sum}
		given += parts[i].Packed
	}
	parts[0].Packed += packed - given
	return parts, nil
}
