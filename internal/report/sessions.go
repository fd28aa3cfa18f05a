package report

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/postern-cdk/postern/internal/property"
)

// sessions lists what Session Manager offers by documents of their own name.
func (r *Report) sessions() {
	for _, document := range r.Inventory.of("AWS::SSM::Document") {
		if document.text("DocumentType") != "Session" {
			continue
		}
		content := contentOf(document)
		name := document.name("Name")
		switch kind := property.Text(property.At(content, "sessionType")); kind {
		case "Standard_Stream":
			r.shell(name, content)
		case "Port":
			r.Doors = append(r.Doors, port(name, content))
		default:
			r.Doors = append(r.Doors, Row{What: "Session document " + name, State: open, Detail: kind})
		}
	}
}

// contentOf is the document, which Cloud Control may show as a text.
func contentOf(document Resource) any {
	content := document.at("Content")
	if written, ok := content.(string); ok {
		var read any
		if err := json.Unmarshal([]byte(written), &read); err == nil {
			return read
		}
	}
	return content
}

func (r *Report) shell(name string, content any) {
	in := func(key string) string { return property.Text(property.At(content, "inputs", key)) }
	var to []string
	for _, place := range []struct{ what, key, strict, resource, resourceName string }{
		{"log group ", "cloudWatchLogGroupName", "cloudWatchEncryptionEnabled", "AWS::Logs::LogGroup", "LogGroupName"},
		{"bucket ", "s3BucketName", "s3EncryptionEnabled", "AWS::S3::Bucket", "BucketName"},
	} {
		where := in(place.key)
		if where == "" {
			continue
		}
		if in(place.strict) != "true" {
			r.note("sessions of "+name+" begin where "+place.what+where+" is missing, and are not recorded then", "Set "+place.strict+" in the document")
		}
		for _, known := range r.Inventory.of(place.resource) {
			if known.Identifier == where {
				where = known.label(place.resourceName)
			}
		}
		to = append(to, place.what+where)
	}
	row := Row{What: "Shell " + name, State: "recorded", Detail: "to " + strings.Join(to, " and ")}
	if len(to) == 0 {
		row.State, row.Detail = "NOT RECORDED", "no log group and no bucket"
		r.fail("sessions of "+name+" are not recorded", "Give the document a log group or a bucket")
	}
	switch user := in("runAsDefaultUser"); {
	case in("runAsEnabled") != "true":
		row.Detail += "\nas ssm-user, who may become root"
		r.note("sessions of "+name+" run as ssm-user, who may become root and end what records", "Have it run as the user in the tag SSMSessionRunAs")
	case user == "":
		row.Detail += "\nas the tag SSMSessionRunAs says"
	default:
		row.Detail += "\nas the tag SSMSessionRunAs says, or " + user
	}
	row.Detail += fmt.Sprintf("; ends after %s idle minutes", in("idleSessionTimeout"))
	if most := in("maxSessionDuration"); most != "" {
		row.Detail += ", " + most + " at most"
	}
	if in("kmsKeyId") != "" {
		row.Detail += "; encrypted with a key of yours"
	}
	r.Doors = append(r.Doors, row)
}

func port(name string, content any) Row {
	number := property.Text(property.At(content, "properties", "portNumber"))
	row := Row{What: "Tunnel " + name, State: open, Detail: "to port " + number}
	if host := property.Text(property.At(content, "properties", "host")); host != "" {
		row.Detail += " of " + host
	} else {
		row.Detail += " of the host itself"
	}
	if property.Text(property.At(content, "properties", "type")) == "" {
		row.What = "SSH by " + name
	}
	row.Detail += ", nowhere else; its content is not recorded by Session Manager"
	return row
}

// operatorMark begins the description of the policies that operators make.
const operatorMark = "Postern: "

// people lists who is granted what.
func (r *Report) people() {
	rows := map[string]*Row{}
	var order []string
	for _, policy := range r.Inventory.of("AWS::IAM::ManagedPolicy") {
		path, ours := strings.CutPrefix(policy.text("Description"), operatorMark)
		if !ours {
			continue
		}
		name := path[strings.LastIndex(path, "/")+1:]
		row := rows[name]
		if row == nil {
			row = &Row{What: name, State: "always"}
			rows[name] = row
			order = append(order, name)
		}
		for _, kind := range []struct{ key, one string }{{"Roles", "role"}, {"Groups", "group"}, {"Users", "user"}} {
			for _, who := range property.Texts(policy.list(kind.key)) {
				row.Detail = joined(row.Detail, kind.one+" "+who)
			}
		}
		row.Detail = joined(row.Detail, allowed(policy.at("PolicyDocument"), row)...)
	}
	slices.Sort(order)
	for _, name := range order {
		r.People = append(r.People, *rows[name])
	}
	if len(order) == 0 && len(r.Inventory.of("AWS::SSM::Document")) > 0 {
		r.People = []Row{{What: "No operator is configured", State: "by IAM", Detail: "policies of yours decide who may use the doors"}}
	}
}

// allowed says what a policy opens, and when.
func allowed(document any, row *Row) []string {
	if written, ok := document.(string); ok {
		var read any
		if err := json.Unmarshal([]byte(written), &read); err == nil {
			document = read
		}
	}
	var documents []string
	starts, connects := false, false
	statements, _ := property.At(document, "Statement").([]any)
	for _, statement := range statements {
		if property.Text(property.At(statement, "Effect")) != "Allow" {
			continue
		}
		actions := oneOrMore(property.At(statement, "Action"))
		starts = starts || slices.Contains(actions, "ssm:StartSession")
		connects = connects || slices.Contains(actions, "ec2-instance-connect:OpenTunnel")
		if slices.Contains(actions, "ssm:GetDocument") {
			for _, arn := range oneOrMore(property.At(statement, "Resource")) {
				documents = append(documents, "uses "+arn[strings.LastIndex(arn, "/")+1:])
			}
		}
	}
	// What opens something in some hours only is in a policy that is written anew at
	// the beginning of each.
	if len(documents) > 0 && !starts {
		row.State = "in its hours"
	}
	if connects {
		documents = append(documents, "uses EC2 Instance Connect Endpoint")
	}
	return documents
}

// joined adds lines that are not there yet.
func joined(lines string, more ...string) string {
	all := strings.Split(lines, "\n")
	if lines == "" {
		all = nil
	}
	for _, line := range more {
		if !slices.Contains(all, line) {
			all = append(all, line)
		}
	}
	return strings.Join(all, "\n")
}

func oneOrMore(value any) []string {
	if list, ok := value.([]any); ok {
		return property.Texts(list)
	}
	if one := property.Text(value); one != "" {
		return []string{one}
	}
	return nil
}
