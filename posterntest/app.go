package posterntest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/postern-cdk/postern/internal/localcfn/template"
)

// App is what an app synthesizes, one stack or all of them.
type App struct {
	// Partition, Region and Account are where stacks are that don't say it. They are
	// "aws", "us-east-1" and "123456789012" if you don't set them.
	Partition, Region, Account string
	// TrustedPrefixLists are the IDs of prefix lists, made elsewhere, of which you know
	// that they name no one but people who may come in.
	TrustedPrefixLists []string

	stacks []*stack
}

// stack is one template.
type stack struct {
	app      *App
	name     string
	template *template.Template
	scope    *template.Scope
	paths    map[string]string // of constructs, by logical ID
	region   string
	account  string
	exports  map[string]any

	// A nested stack gets its parameters from the resource that it is of another stack.
	parent   *stack
	nestedID string
	nested   map[string]*stack // by logical ID
}

// resource is one resource of a stack with its properties evaluated.
type resource struct {
	stack      *stack
	id         string
	kind       string
	properties map[string]any
}

// Of reads templates: assertions.Template, or a template as a map, as JSON text or as
// bytes. Give all stacks of an app in one call, so that what one refers to in another is
// found.
func Of(t testing.TB, templates ...any) *App {
	t.Helper()
	a := newApp()
	for i, given := range templates {
		text, err := textOf(given)
		if err == nil {
			_, err = a.add(&stack{name: fmt.Sprintf("template %d", i+1)}, text, "")
		}
		if err != nil {
			t.Fatalf("posterntest.Of: template %d: %v", i+1, err)
		}
	}
	if len(templates) == 0 {
		t.Fatalf("posterntest.Of: no template: pass assertions.Template_FromStack(stack, nil)")
	}
	return a
}

// Read reads a cloud assembly, all stacks of it: the folder that app.Synth returns as
// Directory, or cdk.out.
func Read(t testing.TB, folder string) *App {
	t.Helper()
	a := newApp()
	if err := a.read(folder); err != nil {
		t.Fatalf("posterntest.Read: %v", err)
	}
	if len(a.stacks) == 0 {
		t.Fatalf("posterntest.Read: no stack in %s: is it what app.Synth returns as Directory?", folder)
	}
	return a
}

func newApp() *App {
	return &App{Partition: "aws", Region: "us-east-1", Account: "123456789012"}
}

func textOf(given any) (string, error) {
	switch given := given.(type) {
	case interface{ ToJSON() *map[string]any }:
		return marshal(*given.ToJSON())
	case map[string]any:
		return marshal(given)
	case *map[string]any:
		return marshal(*given)
	case string:
		return given, nil
	case []byte:
		return string(given), nil
	default:
		return "", fmt.Errorf("%T is no template: pass assertions.Template_FromStack(stack, nil), a map, or JSON", given)
	}
}

func marshal(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}

type manifest struct {
	Artifacts map[string]struct {
		Type        string `json:"type"`
		Environment string `json:"environment"`
		Properties  struct {
			TemplateFile  string `json:"templateFile"`
			DirectoryName string `json:"directoryName"`
			StackName     string `json:"stackName"`
		} `json:"properties"`
		Metadata map[string][]struct {
			Type string `json:"type"`
			Data any    `json:"data"`
		} `json:"metadata"`
		AdditionalMetadataFile string `json:"additionalMetadataFile"`
	} `json:"artifacts"`
}

func (a *App) read(folder string) error {
	text, err := os.ReadFile(filepath.Join(folder, "manifest.json"))
	if err != nil {
		return fmt.Errorf("%w: is it what app.Synth returns as Directory?", err)
	}
	var m manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return fmt.Errorf("manifest.json of %s: %w", folder, err)
	}
	for _, id := range slices.Sorted(maps.Keys(m.Artifacts)) {
		artifact := m.Artifacts[id]
		switch artifact.Type {
		case "cdk:cloud-assembly": // a stage
			if err := a.read(filepath.Join(folder, artifact.Properties.DirectoryName)); err != nil {
				return err
			}
		case "aws:cloudformation:stack":
			if file := artifact.AdditionalMetadataFile; file != "" && artifact.Metadata == nil {
				text, err := os.ReadFile(filepath.Join(folder, file))
				if err == nil {
					err = json.Unmarshal(text, &artifact.Metadata)
				}
				if err != nil {
					return fmt.Errorf("metadata of stack %s: %w", id, err)
				}
			}
			paths := map[string]string{}
			for path, entries := range artifact.Metadata {
				for _, entry := range entries {
					if logicalID, ok := entry.Data.(string); ok && entry.Type == "aws:cdk:logicalId" {
						paths[logicalID] = strings.TrimSuffix(strings.TrimPrefix(path, "/"), "/Resource")
					}
				}
			}
			text, err := os.ReadFile(filepath.Join(folder, artifact.Properties.TemplateFile))
			if err != nil {
				return fmt.Errorf("template of stack %s: %w", id, err)
			}
			s := &stack{name: or(artifact.Properties.StackName, id), paths: paths}
			if where := strings.Split(strings.TrimPrefix(artifact.Environment, "aws://"), "/"); len(where) == 2 {
				s.account, s.region = known(where[0]), known(where[1])
			}
			if _, err := a.add(s, string(text), folder); err != nil {
				return fmt.Errorf("template of stack %s: %w", id, err)
			}
		}
	}
	return nil
}

// known is "" for what an environment leaves open.
func known(s string) string {
	if strings.HasPrefix(s, "unknown-") {
		return ""
	}
	return s
}

// add takes over a stack, and the stacks nested in it, whose templates are in the folder.
func (a *App) add(s *stack, text, folder string) (*stack, error) {
	parsed, err := template.Parse(text)
	if err != nil {
		return nil, err
	}
	s.app, s.template, s.nested = a, parsed, map[string]*stack{}
	if s.paths == nil {
		s.paths = map[string]string{}
	}
	a.stacks = append(a.stacks, s)
	for _, id := range slices.Sorted(maps.Keys(parsed.Resources)) {
		r := parsed.Resources[id]
		metadata, _ := r.Metadata.(map[string]any)
		if path, ok := metadata["aws:cdk:path"].(string); ok {
			s.paths[id] = strings.TrimSuffix(path, "/Resource")
		}
		if r.Type != "AWS::CloudFormation::Stack" {
			continue
		}
		file, ok := metadata["aws:asset:path"].(string)
		if !ok || folder == "" {
			return nil, fmt.Errorf("%s is a nested stack, whose template is not in this one: read the cloud assembly with posterntest.Read", s.label(id))
		}
		text, err := readIn(folder, file)
		if err == nil {
			inner := &stack{name: s.name + "." + id, region: s.region, account: s.account, paths: maps.Clone(s.paths), parent: s, nestedID: id}
			s.nested[id], err = a.add(inner, string(text), folder)
		}
		if err != nil {
			return nil, fmt.Errorf("nested stack %s: %w", s.label(id), err)
		}
	}
	return s, nil
}

// readIn reads a file of a folder, and none outside of it.
func readIn(folder, name string) ([]byte, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	text, err := root.ReadFile(name)
	return text, errors.Join(err, root.Close())
}

// ARN is an ARN in the app's partition, region and account, such as
// ARN("ssm", "document/OnCall").
func (a *App) ARN(service, resource string) string {
	return strings.Join([]string{"arn", a.Partition, service, a.Region, a.Account, resource}, ":")
}

// prepare makes the scope in which a stack's values are evaluated.
func (s *stack) prepare() {
	region, account := or(s.region, s.app.Region), or(s.account, s.app.Account)
	suffix := "amazonaws.com"
	if s.app.Partition == "aws-cn" {
		suffix += ".cn"
	}
	parameters := map[string]any{}
	for name, p := range s.template.Parameters {
		parameters[name] = template.Unknown{Causes: []template.Cause{{LogicalID: name}}}
		if text, ok := template.Text(p.Default); ok && !p.SSM() {
			parameters[name] = p.Bind(text)
		}
	}
	if s.parent != nil { // which is prepared by now
		given, _ := s.parent.eval(s.parent.template.Resources[s.nestedID].Properties["Parameters"]).(map[string]any)
		for name, p := range s.template.Parameters {
			if text, ok := template.Text(given[name]); ok {
				parameters[name] = p.Bind(text)
			} else if value, ok := given[name]; ok {
				parameters[name] = value
			}
		}
	}
	s.scope = &template.Scope{
		Template: s.template, Parameters: parameters, Env: s,
		Pseudo: map[string]any{
			"AWS::Partition": s.app.Partition, "AWS::Region": region, "AWS::AccountId": account, "AWS::URLSuffix": suffix,
			"AWS::StackName": s.name, "AWS::StackId": s.arn("cloudformation", "stack/"+s.name+"/00000000-0000-0000-0000-000000000000"), "AWS::NotificationARNs": []any{},
		},
	}
}

func or(first, second string) string {
	if first != "" {
		return first
	}
	return second
}

func (s *stack) arn(service, resource string) string {
	return strings.Join([]string{"arn", s.app.Partition, service, or(s.region, s.app.Region), or(s.account, s.app.Account), resource}, ":")
}

// resources lists the resources that are made, in order, with their values. A value that
// can't be evaluated is unknown.
func (a *App) resources(kinds ...string) []resource {
	for _, s := range a.stacks {
		s.scope = nil
	}
	for _, s := range a.stacks {
		if s.scope == nil {
			s.prepare()
		}
	}
	for _, s := range a.stacks {
		s.exports = s.export()
	}
	var all []resource
	for _, s := range a.stacks {
		for _, id := range slices.Sorted(maps.Keys(s.template.Resources)) {
			r := s.template.Resources[id]
			if !slices.Contains(kinds, r.Type) {
				continue
			}
			if live, err := s.scope.Live(r.Condition); err == nil && !live {
				continue
			}
			properties, _ := s.eval(r.Properties).(map[string]any)
			all = append(all, resource{s, id, r.Type, properties})
		}
	}
	return all
}

// eval evaluates what can be: where one member of a map or list can't be, the others are.
func (s *stack) eval(v any) any {
	if s.scope == nil { // a sibling of a nested stack that is being prepared
		s.prepare()
	}
	if value, err := s.scope.Eval(v); err == nil {
		return value
	}
	if _, _, call := template.Call(v); call {
		return template.Unknown{}
	}
	switch v := v.(type) {
	case map[string]any:
		all := map[string]any{}
		for key, value := range v {
			all[key] = s.eval(value)
		}
		return all
	case []any:
		all := make([]any, len(v))
		for i, value := range v {
			all[i] = s.eval(value)
		}
		return all
	default:
		return template.Unknown{}
	}
}

func (s *stack) export() map[string]any {
	exports := map[string]any{}
	for _, output := range s.template.Outputs {
		if name, ok := s.eval(output.ExportName).(string); ok && name != "" {
			exports[name] = output.Value
		}
	}
	return exports
}

// Ref implements template.Env: a resource is known by its name, or else by its logical ID.
func (s *stack) Ref(id string) (any, error) {
	r, ok := s.template.Resources[id]
	if !ok {
		return nil, fmt.Errorf("no resource %s", id)
	}
	switch r.Type {
	case "AWS::EC2::SecurityGroup":
		return s.unique(id), nil
	case "AWS::IAM::ManagedPolicy":
		return strings.Join([]string{"arn", s.app.Partition, "iam", "", or(s.account, s.app.Account), "policy/" + s.nameOf(id, r)}, ":"), nil
	case "AWS::SNS::Topic", "AWS::SecretsManager::Secret":
		return s.GetAtt(id, "Arn")
	}
	return s.nameOf(id, r), nil
}

// unique tells apart resources of the same logical ID in two stacks.
func (s *stack) unique(id string) string { return s.name + "." + id }

var nameProperties = map[string]string{
	"AWS::SSM::Document": "Name", "AWS::IAM::Role": "RoleName", "AWS::IAM::User": "UserName", "AWS::IAM::Group": "GroupName",
	"AWS::IAM::ManagedPolicy": "ManagedPolicyName", "AWS::Logs::LogGroup": "LogGroupName", "AWS::S3::Bucket": "BucketName",
	"AWS::SNS::Topic": "TopicName", "AWS::SQS::Queue": "QueueName", "AWS::SecretsManager::Secret": "Name",
}

func (s *stack) nameOf(id string, r *template.Resource) string {
	if property := nameProperties[r.Type]; property != "" {
		if name, ok := s.eval(r.Properties[property]).(string); ok {
			return name
		}
	}
	return id
}

// GetAtt implements template.Env: ARNs are written with the name or the logical ID, other
// attributes as "LogicalID.Attribute".
func (s *stack) GetAtt(id, attribute string) (any, error) {
	r, ok := s.template.Resources[id]
	if !ok {
		return nil, fmt.Errorf("no resource %s", id)
	}
	if inner := s.nested[id]; inner != nil {
		if output := inner.template.Outputs[strings.TrimPrefix(attribute, "Outputs.")]; output != nil {
			return inner.eval(output.Value), nil
		}
	}
	name := s.nameOf(id, r)
	switch {
	case r.Type == "AWS::EC2::SecurityGroup" && attribute == "GroupId":
		return s.unique(id), nil
	case attribute != "Arn" && !strings.HasSuffix(attribute, "Arn"):
		return id + "." + attribute, nil
	case r.Type == "AWS::S3::Bucket":
		return "arn:" + s.app.Partition + ":s3:::" + name, nil
	case strings.HasPrefix(r.Type, "AWS::IAM::"):
		kind := kebab(strings.TrimPrefix(r.Type, "AWS::IAM::"))
		return strings.Join([]string{"arn", s.app.Partition, "iam", "", or(s.account, s.app.Account), kind + "/" + name}, ":"), nil
	case r.Type == "AWS::Logs::LogGroup":
		return s.arn("logs", "log-group:"+name+":*"), nil
	case r.Type == "AWS::SNS::Topic":
		return s.arn("sns", name), nil
	case r.Type == "AWS::SQS::Queue":
		return s.arn("sqs", name), nil
	}
	parts := strings.Split(r.Type, "::")
	if len(parts) != 3 {
		return id + "." + attribute, nil
	}
	return s.arn(strings.ToLower(parts[1]), kebab(parts[2])+"/"+name), nil
}

// kebab writes InstanceConnectEndpoint as ARNs do, instance-connect-endpoint.
func kebab(name string) string {
	var b strings.Builder
	for i, r := range name {
		if r >= 'A' && r <= 'Z' {
			if i > 0 {
				b.WriteByte('-')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Import implements template.Env, over all stacks of the app.
func (s *stack) Import(name string) (any, error) {
	for _, other := range s.app.stacks {
		if value, ok := other.exports[name]; ok {
			return other.eval(value), nil
		}
	}
	return template.Unknown{}, nil
}

// StackOutput implements template.Env.
func (s *stack) StackOutput(name, output, _ string) (any, error) {
	for _, other := range s.app.stacks {
		if o, ok := other.template.Outputs[output]; ok && other.name == name {
			return other.eval(o.Value), nil
		}
	}
	return template.Unknown{}, nil
}

// Zones implements template.Env.
func (*stack) Zones(region string) ([]string, error) {
	return []string{region + "a", region + "b", region + "c"}, nil
}

// Dynamic implements template.Env: secrets and parameters stay what they are written as.
func (*stack) Dynamic(string, string) (string, bool, error) { return "", false, nil }

// label names a resource in a failure.
func (r resource) label() string { return r.stack.label(r.id) }

func (s *stack) label(id string) string {
	if path := s.paths[id]; path != "" {
		return id + " (" + path + ")"
	}
	if len(s.app.stacks) > 1 {
		return id + " of " + s.name
	}
	return id
}

// at walks into nested properties.
func (r resource) at(path ...string) any {
	var value any = r.properties
	for _, key := range path {
		object, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = object[key]
	}
	return value
}

func (r resource) text(path ...string) string {
	text, _ := template.Text(r.at(path...))
	return text
}

func listOf(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	default:
		return []any{v}
	}
}

func textsOf(v any) []string {
	var all []string
	for _, value := range listOf(v) {
		if text, ok := template.Text(value); ok {
			all = append(all, text)
		}
	}
	return all
}

// report fails the test with all that was found.
func report(t testing.TB, what string, faults []string) {
	t.Helper()
	if len(faults) > 0 {
		t.Errorf("%s: %d found:\n  %s", what, len(faults), strings.Join(faults, "\n  "))
	}
}
