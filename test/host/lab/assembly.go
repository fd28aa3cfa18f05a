package lab

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/postern-cdk/postern/internal/localcfn/template"
)

// What the lab's account is called.
const (
	Region     = "eu-west-1"
	Account    = "123456789012"
	InstanceID = "i-0123456789abcdef0"
	RoleName   = "lab-bastion"
)

// A Deployment is what a stack of a cloud assembly hands to an instance: its user
// data, and the assets that the host fetches.
type Deployment struct {
	UserData []byte
	Assets   []Asset
	// Outputs are what the stack tells its owner, by logical ID.
	Outputs map[string]string
}

// An Asset is a file that the CDK puts into the bootstrap bucket.
type Asset struct{ Bucket, Key, Path string }

// FromAssembly reads the user data of a stack's launch template from a folder that
// `cdk synth` wrote, with its functions resolved as CloudFormation does.
//
// values answers what only a deployment knows: by the logical ID for Ref, by
// "ID.Attribute" for Fn::GetAtt, by the export's name for Fn::ImportValue. A key
// also answers for what it is the beginning of, so that the hash at the end of a
// logical ID may be left out. Pseudo parameters are those of the lab.
func FromAssembly(folder, stack string, values map[string]string) (*Deployment, error) {
	body, err := os.ReadFile(filepath.Join(folder, stack+".template.json"))
	if err != nil {
		return nil, err
	}
	parsed, err := template.Parse(string(body))
	if err != nil {
		return nil, err
	}
	scope := &template.Scope{Template: parsed, Parameters: map[string]any{}, Pseudo: pseudo(stack), Env: answers(values)}
	for name := range parsed.Parameters {
		scope.Parameters[name] = template.Unknown{}
		if value, ok := answers(values).find(name); ok {
			scope.Parameters[name] = value
		}
	}
	d := &Deployment{Outputs: map[string]string{}}
	for id, resource := range parsed.Resources {
		if resource.Type != "AWS::EC2::LaunchTemplate" {
			continue
		}
		if d.UserData != nil {
			return nil, fmt.Errorf("%s has several launch templates", stack)
		}
		data, _ := resource.Properties["LaunchTemplateData"].(map[string]any)
		value, err := scope.Eval(data["UserData"])
		if err != nil {
			return nil, fmt.Errorf("%s, user data of %s: %w", stack, id, err)
		}
		encoded, ok := value.(string)
		if !ok {
			return nil, fmt.Errorf("%s, user data of %s: %T is not text", stack, id, value)
		}
		if d.UserData, err = base64.StdEncoding.DecodeString(encoded); err != nil {
			return nil, fmt.Errorf("%s, user data of %s: %w", stack, id, err)
		}
	}
	if d.UserData == nil {
		return nil, fmt.Errorf("%s has no launch template", stack)
	}
	for id, output := range parsed.Outputs {
		value, err := scope.Eval(output.Value)
		if err != nil {
			return nil, fmt.Errorf("%s, output %s: %w", stack, id, err)
		}
		d.Outputs[id] = fmt.Sprint(value)
	}
	d.Assets, err = assets(folder, stack)
	return d, err
}

func assets(folder, stack string) ([]Asset, error) {
	body, err := os.ReadFile(filepath.Join(folder, stack+".assets.json"))
	if err != nil {
		return nil, err
	}
	var manifest struct {
		Files map[string]struct {
			Source       struct{ Path, Packaging string }
			Destinations map[string]struct{ BucketName, ObjectKey string }
		}
	}
	if err := json.Unmarshal(body, &manifest); err != nil {
		return nil, fmt.Errorf("%s.assets.json: %w", stack, err)
	}
	var list []Asset
	for _, file := range manifest.Files {
		if file.Source.Packaging != "file" {
			continue
		}
		for _, to := range file.Destinations {
			bucket := strings.NewReplacer("${AWS::AccountId}", Account, "${AWS::Region}", Region, "${AWS::Partition}", "aws").Replace(to.BucketName)
			list = append(list, Asset{bucket, to.ObjectKey, filepath.Join(folder, file.Source.Path)})
		}
	}
	slices.SortFunc(list, func(a, b Asset) int { return strings.Compare(a.Key, b.Key) })
	return list, nil
}

func pseudo(stack string) map[string]any {
	return map[string]any{
		"AWS::Region": Region, "AWS::AccountId": Account, "AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com", "AWS::StackName": stack,
		"AWS::StackId": "arn:aws:cloudformation:" + Region + ":" + Account + ":stack/" + stack + "/01234567-89ab-cdef-0123-456789abcdef",
	}
}

// answers is what lies outside of the template.
type answers map[string]string

// find takes the longest key that is name or its beginning.
func (a answers) find(name string) (string, bool) {
	best, found := "", false
	for key := range a {
		if strings.HasPrefix(name, key) && (!found || len(key) > len(best)) {
			best, found = key, true
		}
	}
	return a[best], found
}

func (a answers) value(function, name string) (any, error) {
	if value, ok := a.find(name); ok {
		return value, nil
	}
	return nil, fmt.Errorf("no value for %s %s: name it among the values", function, name)
}

func (a answers) Ref(id string) (any, error)      { return a.value("Ref", id) }
func (a answers) Import(name string) (any, error) { return a.value("Fn::ImportValue", name) }

// GetAtt takes a key without the hash before the dot, too.
func (a answers) GetAtt(id, attribute string) (any, error) {
	best, found := "", false
	for key := range a {
		prefix, wanted, ok := strings.Cut(key, ".")
		if ok && wanted == attribute && strings.HasPrefix(id, prefix) && (!found || len(key) > len(best)) {
			best, found = key, true
		}
	}
	if !found {
		return nil, fmt.Errorf("no value for Fn::GetAtt %s.%s: name it among the values", id, attribute)
	}
	return a[best], nil
}

func (a answers) StackOutput(stack, output, _ string) (any, error) {
	return a.value("output", stack+"."+output)
}

func (a answers) Zones(string) ([]string, error) { return []string{Region + "a", Region + "b"}, nil }

func (a answers) Dynamic(string, string) (string, bool, error) { return "", false, nil }
