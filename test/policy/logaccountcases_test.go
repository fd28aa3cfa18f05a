package policy_test

import (
	"slices"
	"strings"

	"github.com/postern-cdk/postern/internal/iam"
)

const leftOrganization = "o-z9y8x7w6v5"

// sourceCases are what other accounts may do in the log account: each puts its own
// records, and nothing else.
func (e *evidence) sourceCases() []resourceCase {
	var all []resourceCase
	for _, c := range e.centrals {
		all = append(all, e.sourceWrites(c)...)
		all = append(all, e.sourceServices(c)...)
		all = append(all, e.sourceKey(c)...)
		all = append(all, e.sourceDestination(c)...)
	}
	return append(all, e.farBastion(e.centrals[0])...)
}

// in is somebody of an account who may do everything that their own account rules.
func (e *evidence) in(account, organization string) asker {
	by := e.role(account, "Admin", "everything")
	by.name += " of " + account + " in " + organization
	by.context = by.context.With(iam.Context{"aws:PrincipalOrgID": organization})
	return by
}

// sources are those that c takes, and those that it does not, but might be taken for.
func (e *evidence) sources(c central) (right, wrong []asker) {
	right = []asker{e.in(account, organization)}
	take := func(by asker, taken bool) {
		if taken {
			right = append(right, by)
		} else {
			wrong = append(wrong, by)
		}
	}
	take(e.in(account, leftOrganization), !c.byOrganization)
	take(e.in(account, ""), !c.byOrganization)
	take(e.in(otherAccount, organization), !c.byNumber)
	outside := e.in(otherAccount, leftOrganization)
	alone := e.role(otherAccount, "Alone", "everything")
	// One of the log account has what its own account gives, which is nothing here.
	insider := e.role(logAccount, "Nobody").with("of the log account", iam.Context{"aws:PrincipalOrgID": organization})
	return right, append(wrong, insider, outside, alone, e.role(account, "Nobody").with("in the organization", iam.Context{"aws:PrincipalOrgID": organization}), asker{name: "anonymous"})
}

func (e *evidence) sourceWrites(c central) []resourceCase {
	acl := iam.Context{"s3:x-amz-acl": "bucket-owner-full-control"}
	right, wrong := e.sources(c)
	var all []resourceCase
	// One of the account, of whom the bucket's policy says nothing.
	admin := e.role(logAccount, "Admin", "everything")
	all = append(all, e.ask(admin, "s3:GetObject", c.bucket+"/sessions/"+account+"/x", nil, true))
	for _, context := range []iam.Context{{"aws:SecureTransport": "false"}, {"s3:TlsVersion": "1.1"}} {
		all = append(all, e.ask(admin, "s3:GetObject", c.bucket+"/sessions/"+account+"/x", context, false), e.ask(admin, "s3:ListBucket", c.bucket, context, false))
	}
	for _, by := range right {
		own := by.context["aws:PrincipalAccount"]
		foreign := strings.NewReplacer(account, otherAccount, otherAccount, account).Replace(own)
		record, transcript := c.bucket+"/sessions/"+own+"/x", c.bucket+"/session-manager/"+own+"/x"
		all = append(all,
			e.ask(by, "s3:PutObject", record, nil, true),
			e.ask(by, "s3:PutObject", transcript, nil, true),
			e.ask(by, "s3:PutObjectAcl", transcript, acl, true),
			e.ask(by, "s3:PutObjectAcl", transcript, iam.Context{"s3:x-amz-acl": "public-read"}, false),
			e.ask(by, "s3:PutObjectAcl", transcript, nil, false),
			e.ask(by, "s3:PutObjectAcl", record, acl, false),
			e.ask(by, "s3:GetEncryptionConfiguration", c.bucket, nil, true),
			e.ask(by, "s3:PutObject", record, iam.Context{"aws:SecureTransport": "false"}, false),
			e.ask(by, "s3:PutObject", record, iam.Context{"s3:TlsVersion": "1.1"}, false),
		)
		for _, elsewhere := range []string{
			"/sessions/" + foreign + "/x", "/session-manager/" + foreign + "/x", "/sessions/x", "/logs/2026/03/10/12/x", "/AWSLogs/" + own + "/x", "/x",
		} {
			all = append(all, e.ask(by, "s3:PutObject", c.bucket+elsewhere, acl, false))
		}
		takes := slices.DeleteFunc(slices.Clone(objectChanges), func(action string) bool { return action == "s3:PutObjectAcl" })
		for _, object := range []string{record, transcript, c.bucket + "/logs/2026/03/10/12/x"} {
			all = append(all, e.each(by, takes, object, nil, false)...)
		}
		all = append(all, e.each(by, append([]string{"s3:ListBucket", "s3:GetBucketPolicy"}, bucketChanges...), c.bucket, nil, false)...)
	}
	for _, by := range wrong {
		for _, whose := range []string{account, otherAccount, logAccount} {
			record, transcript := c.bucket+"/sessions/"+whose+"/x", c.bucket+"/session-manager/"+whose+"/x"
			all = append(all,
				e.ask(by, "s3:PutObject", record, nil, false),
				e.ask(by, "s3:PutObject", transcript, nil, false),
				e.ask(by, "s3:PutObjectAcl", transcript, acl, false),
				e.ask(by, "s3:GetObject", record, nil, false),
				e.ask(by, "s3:DeleteObject", record, nil, false),
			)
		}
		all = append(all, e.ask(by, "s3:GetEncryptionConfiguration", c.bucket, nil, false), e.ask(by, "s3:ListBucket", c.bucket, nil, false))
	}
	return all
}

// acting are services that act for resources of accounts: those that c takes, and others.
func (e *evidence) acting(c central, service, resource string) (right, wrong []asker) {
	of := func(whose, organization string) asker {
		scope := e.Scope
		scope.Account = whose
		kind, name, _ := strings.Cut(resource, ":")
		arn := scope.ARN(kind, name)
		return e.service(service, onBehalf(whose, arn).With(iam.Context{"aws:SourceOrgID": organization})).with("for "+whose+" in "+organization, nil)
	}
	right = []asker{of(account, organization)}
	take := func(by asker, taken bool) {
		if taken {
			right = append(right, by)
		} else {
			wrong = append(wrong, by)
		}
	}
	take(of(account, leftOrganization), !c.byOrganization)
	take(of(otherAccount, organization), !c.byNumber)
	mixed := of(account, organization).with("with another's source", nil)
	mixed.context["aws:SourceArn"] = of(otherAccount, organization).context["aws:SourceArn"]
	if c.byNumber {
		wrong = append(wrong, mixed)
	}
	if c.byNumber && service == "delivery.logs.amazonaws.com" { // the one that tells its account, too
		wrong = append(wrong, of(account, organization).with("without an account", iam.Context{"aws:SourceAccount": ""}),
			of(account, organization).with("with another's account", iam.Context{"aws:SourceAccount": otherAccount}))
	}
	if c.byOrganization {
		wrong = append(wrong, of(account, organization).with("without an organization", iam.Context{"aws:SourceOrgID": ""}))
	}
	wrong = append(wrong, of(account, organization).with("for something else", iam.Context{"aws:SourceArn": e.ARN("events", "rule/x")}),
		of(account, organization).with("without any source", iam.Context{"aws:SourceArn": ""}))
	return right, append(wrong, of(otherAccount, leftOrganization), e.service(service, nil).with("for nobody", nil),
		e.service("config.amazonaws.com", of(account, organization).context))
}

// sourceServices are the flow logs and trails of sources.
func (e *evidence) sourceServices(c central) []resourceCase {
	var all []resourceCase
	for _, way := range []struct {
		service, resource string
		folders           []string
		checks            []string
	}{
		{"delivery.logs.amazonaws.com", "logs:*", []string{"/AWSLogs/"}, []string{"s3:GetBucketAcl", "s3:ListBucket"}},
		{"cloudtrail.amazonaws.com", "cloudtrail:trail/all", []string{"/AWSLogs/", "/trail/AWSLogs/"}, []string{"s3:GetBucketAcl"}},
	} {
		right, wrong := e.acting(c, way.service, way.resource)
		for _, by := range right {
			whose := by.context["aws:SourceAccount"]
			for _, folder := range way.folders {
				object := c.bucket + folder + whose + "/x.gz"
				all = append(all, e.ask(by, "s3:PutObject", object, nil, true),
					e.ask(by, "s3:PutObject", object, iam.Context{"aws:SecureTransport": "false"}, false))
				all = append(all, e.each(by, objectChanges, object, nil, false)...)
			}
			all = append(all, e.each(by, way.checks, c.bucket, nil, true)...)
			all = append(all, e.each(by, bucketChanges, c.bucket, nil, false)...)
			all = append(all,
				e.ask(by, "s3:PutObject", c.bucket+"/sessions/"+whose+"/x", nil, false),
				e.ask(by, "s3:PutObject", c.bucket+"/logs/x", nil, false),
			)
			if c.byNumber {
				all = append(all, e.ask(by, "s3:PutObject", c.bucket+way.folders[0]+otherAccount+"/x.gz", nil, false))
			}
		}
		for _, by := range wrong {
			for _, folder := range way.folders {
				for _, whose := range []string{account, otherAccount} {
					all = append(all, e.ask(by, "s3:PutObject", c.bucket+folder+whose+"/x.gz", nil, false))
				}
			}
			all = append(all, e.each(by, way.checks, c.bucket, nil, false)...)
		}
	}
	return all
}

// sourceKey is the key of what sources write: through S3 and for services only.
func (e *evidence) sourceKey(c central) []resourceCase {
	right, wrong := e.sources(c)
	via := iam.Context{"kms:ViaService": "s3." + e.Region + ".amazonaws.com"}
	var all []resourceCase
	all = append(all, e.ask(e.role(logAccount, "Admin", "everything"), "kms:PutKeyPolicy", c.key, nil, true))
	for _, by := range right {
		all = append(all, e.each(by, []string{"kms:Decrypt", "kms:GenerateDataKey"}, c.key, via, true)...)
		all = append(all, e.each(by, append([]string{"kms:Encrypt", "kms:ReEncryptFrom"}, keyChanges...), c.key, via, false)...)
		all = append(all, e.each(by, []string{"kms:Decrypt", "kms:GenerateDataKey"}, c.key, nil, false)...)
		all = append(all, e.each(by, []string{"kms:Decrypt", "kms:GenerateDataKey"}, c.key, iam.Context{"kms:ViaService": "s3." + e.there + ".amazonaws.com"}, false)...)
	}
	for _, by := range wrong {
		all = append(all, e.each(by, append([]string{"kms:Decrypt", "kms:GenerateDataKey"}, keyChanges...), c.key, via, false)...)
	}

	right, wrong = e.acting(c, "delivery.logs.amazonaws.com", "logs:*")
	for _, by := range right {
		all = append(all, e.each(by, useOfKey, c.key, nil, true)...)
		all = append(all, e.each(by, keyChanges, c.key, nil, false)...)
	}
	for _, by := range wrong {
		all = append(all, e.each(by, useOfKey, c.key, nil, false)...)
	}

	right, wrong = e.acting(c, "cloudtrail.amazonaws.com", "cloudtrail:trail/all")
	of := func(by asker) iam.Context {
		return iam.Context{"kms:EncryptionContext:aws:cloudtrail:arn": by.context["aws:SourceArn"]}
	}
	for _, by := range right {
		all = append(all, e.each(by, []string{"kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext"}, c.key, of(by), true)...)
		all = append(all, e.each(by, append([]string{"kms:Encrypt"}, keyChanges...), c.key, of(by), false)...)
		all = append(all,
			e.ask(by, "kms:GenerateDataKey", c.key, nil, false),
			e.ask(by, "kms:GenerateDataKey", c.key, iam.Context{"kms:EncryptionContext:aws:cloudtrail:arn": e.ARN("cloudtrail", "channel/x")}, false),
		)
		if c.byNumber {
			all = append(all, e.ask(by, "kms:GenerateDataKey", c.key, iam.Context{"kms:EncryptionContext:aws:cloudtrail:arn": e.elsewhere("cloudtrail", "trail/x")}, false))
		}
	}
	for _, by := range wrong {
		all = append(all, e.each(by, []string{"kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"}, c.key,
			iam.Context{"kms:EncryptionContext:aws:cloudtrail:arn": e.ARN("cloudtrail", "trail/all")}, false)...)
	}
	return all
}

// sourceDestination is who may send log groups.
func (e *evidence) sourceDestination(c central) []resourceCase {
	right, wrong := e.sources(c)
	others := []string{"logs:DeleteDestination", "logs:PutDestination", "logs:PutDestinationPolicy"}
	var all []resourceCase
	for _, by := range right {
		all = append(all, e.ask(by, "logs:PutSubscriptionFilter", c.destination, nil, true))
		all = append(all, e.each(by, others, c.destination, nil, false)...)
	}
	for _, by := range wrong {
		if by.context["aws:PrincipalAccount"] == logAccount {
			// It needs the right to subscribe its own log group, and gains nothing but that.
			all = append(all, e.each(by, others, c.destination, nil, false)...)
			continue
		}
		all = append(all, e.each(by, append([]string{"logs:PutSubscriptionFilter"}, others...), c.destination, nil, false)...)
	}
	return all
}

// farBastion is a host whose records go to the log account.
func (e *evidence) farBastion(c central) []resourceCase {
	host := e.role(account, "Bastion", "far bastion").with("of a source", iam.Context{"aws:PrincipalOrgID": organization})
	record := c.bucket + "/sessions/" + account + "/host-1/x.cast"
	all := e.each(host, objectChanges, record, nil, false)
	all = append(all, e.each(host, append([]string{"s3:ListBucket"}, bucketChanges...), c.bucket, nil, false)...)
	all = append(all, e.each(host, keyChanges, c.key, throughS3(e.Region, c.bucket), false)...)
	return append(all,
		e.ask(host, "s3:PutObject", record, nil, true),
		e.ask(host, "s3:PutObject", c.bucket+"/sessions/"+otherAccount+"/x.cast", nil, false),
		e.ask(host, "s3:PutObject", c.bucket+"/sessions/x.cast", nil, false),
		e.ask(host, "s3:PutObject", record, iam.Context{"aws:SecureTransport": "false"}, false),
		e.ask(host, "s3:PutObject", e.centrals[1].bucket+"/sessions/"+account+"/host-1/x.cast", nil, false),
		e.ask(host, "kms:GenerateDataKey", c.key, throughS3(e.Region, c.bucket), true),
		e.ask(host, "kms:GenerateDataKey", c.key, throughS3(e.Region, record), true),
		e.ask(host, "kms:GenerateDataKey", c.key, throughS3(e.Region, e.s3("some-bucket")), false),
		e.ask(host, "kms:GenerateDataKey", c.key, iam.Context{"kms:ViaService": "s3." + e.Region + ".amazonaws.com"}, false),
		e.ask(host, "kms:GenerateDataKey", e.centrals[1].key, throughS3(e.Region, c.bucket), false),
		e.ask(host, "kms:GenerateDataKey", c.key, throughS3(e.there, c.bucket), false),
		e.ask(host, "kms:GenerateDataKey", c.key, nil, false),
		e.ask(host, "kms:Decrypt", c.key, throughS3(e.Region, c.bucket), false),
	)
}

// roleCases are who takes the roles of services, and what those do with them.
func (e *evidence) roleCases() []resourceCase {
	const logs, firehose, take = "logs.amazonaws.com", "firehose.amazonaws.com", "sts:AssumeRole"
	var all []resourceCase
	role := func(by asker, arn string, context iam.Context, want bool) {
		all = append(all, e.ask(by, take, arn, context, want))
	}
	outsiders := []asker{e.role(otherAccount, "Eve", "everything"), {name: "anonymous"}, e.service("ec2.amazonaws.com", onBehalf(account, e.ARN("ec2", "instance/i-1")))}
	for _, c := range e.centrals {
		for _, arn := range []string{c.firehose, c.sender} {
			for _, by := range outsiders {
				role(by, arn, iam.Context{"sts:ExternalId": logAccount}, false)
			}
			role(e.role(logAccount, "Nobody"), arn, nil, false)
		}
		role(e.service(firehose, nil), c.firehose, iam.Context{"sts:ExternalId": logAccount}, true)
		role(e.service(firehose, nil), c.firehose, iam.Context{"sts:ExternalId": otherAccount}, false)
		role(e.service(firehose, nil), c.firehose, nil, false)
		role(e.service(logs, nil), c.firehose, iam.Context{"sts:ExternalId": logAccount}, false)
		own := e.Scope
		own.Account = logAccount
		role(e.service(logs, onBehalf(logAccount, own.ARN("logs", "*"))), c.sender, nil, true)
		right, wrong := e.acting(c, logs, "logs:*")
		for _, by := range right {
			role(by, c.sender, nil, true)
		}
		for _, by := range wrong {
			role(by, c.sender, nil, false)
		}
		role(e.service(logs, onBehalf(account, e.arnIn(e.there, "logs", "*")).With(iam.Context{"aws:SourceOrgID": organization})), c.sender, nil, false)
		role(e.service(logs, onBehalf(logAccount, own.ARN("cloudtrail", "trail/x"))), c.sender, nil, false)
	}

	// Firehose puts what came in, and can't take it away.
	c := e.centrals[0]
	writer := e.role(logAccount, "Firehose", "firehose")
	for _, folder := range []string{"/logs/", "/logs-failed/"} {
		all = append(all, e.ask(writer, "s3:PutObject", c.bucket+folder+"x", nil, true), e.ask(writer, "s3:AbortMultipartUpload", c.bucket+folder+"x", nil, true))
		all = append(all, e.each(writer, objectChanges, c.bucket+folder+"x", nil, false)...)
	}
	all = append(all, e.each(writer, []string{"s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"}, c.bucket, nil, true)...)
	all = append(all, e.each(writer, bucketChanges, c.bucket, nil, false)...)
	all = append(all, e.each(writer, []string{"kms:Decrypt", "kms:GenerateDataKey"}, c.key, throughS3(e.Region, c.bucket), true)...)
	all = append(all, e.each(writer, []string{"kms:Decrypt", "kms:GenerateDataKey"}, c.key, throughS3(e.Region, c.bucket+"/logs/x"), true)...)
	for _, context := range []iam.Context{
		throughS3(e.Region, e.s3("some-bucket")), throughS3(e.there, c.bucket), {"kms:EncryptionContext:aws:s3:arn": c.bucket}, {"kms:ViaService": "s3." + e.Region + ".amazonaws.com"},
	} {
		all = append(all, e.each(writer, []string{"kms:Decrypt", "kms:GenerateDataKey"}, c.key, context, false)...)
	}
	all = append(all, e.each(writer, keyChanges, c.key, throughS3(e.Region, c.bucket), false)...)
	all = append(all,
		e.ask(writer, "s3:PutObject", c.bucket+"/sessions/"+account+"/x", nil, false),
		e.ask(writer, "s3:PutObject", c.bucket+"/logs/x", iam.Context{"aws:SecureTransport": "false"}, false),
		e.ask(writer, "s3:PutObject", e.centrals[1].bucket+"/logs/x", nil, false),
		e.ask(writer, "s3:ListBucket", e.centrals[1].bucket, nil, false),
		e.ask(writer, "s3:GetBucketLocation", e.centrals[1].bucket, nil, false),
		e.ask(writer, "s3:ListBucketMultipartUploads", e.centrals[1].bucket, nil, false),
		e.ask(writer, "kms:GenerateDataKey", e.centrals[1].key, throughS3(e.Region, c.bucket), false),
		e.ask(writer, "kms:Decrypt", e.centrals[1].key, throughS3(e.Region, c.bucket), false),
	)

	// The role of the replication.
	role(e.service("s3.amazonaws.com", nil), e.replicator, nil, true)
	for _, by := range append(outsiders, e.role(account, "Nobody")) {
		role(by, e.replicator, nil, false)
	}
	return all
}
