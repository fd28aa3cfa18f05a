package watch

import (
	"fmt"
	"regexp"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/attach"
	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/policy"
)

// chatID is where what chat channels need stands.
const chatID = "Chat"

// Slack is a channel that gets alarms and notices through Amazon Q Developer in chat
// applications.
//
// Once, somebody authorizes the workspace in its console, which gives the service's
// app into Slack; the deployment fails before that. A private channel must invite the
// app (docs.aws.amazon.com/chatbot/latest/adminguide/slack-setup.html).
type Slack struct {
	// WorkspaceID such as "T012ABCDEFG", which the console shows.
	WorkspaceID string
	// ChannelID such as "C012ABCDEFG", the end of the channel's link.
	ChannelID string
}

// Teams is a channel of Microsoft Teams; see [Slack]. Somebody authorizes the team in
// the console first (docs.aws.amazon.com/chatbot/latest/adminguide/teams-setup.html).
type Teams struct {
	// TenantID, TeamID and ChannelID are of Teams: two UUIDs, and what the channel's
	// link has as "19:...@thread.tacv2", where "%3A" stands for ":" and "%40" for "@".
	TenantID, TeamID, ChannelID string
}

// docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-chatbot-slackchannelconfiguration.html
// docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-chatbot-microsoftteamschannelconfiguration.html
var (
	slackID      = regexp.MustCompile(`^[0-9A-Z]{1,255}$`)
	slackChannel = regexp.MustCompile(`^[A-Za-z0-9]+$`)
	uuid         = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)
	teamsChannel = regexp.MustCompile(`^([a-zA-Z0-9_=+/.,-]|%[0-9a-fA-F]{2})+$`)
)

func (p *Props) validateChat(faults *check.Faults) {
	known := func(field, value string, form *regexp.Regexp, what, fix string) {
		if !check.Token(value) && !form.MatchString(value) {
			faults.Addf(field, fix, "%q is not the ID of a %s", value, what)
		}
	}
	if s := p.Slack; s != nil {
		known("Slack.WorkspaceID", s.WorkspaceID, slackID, "workspace", "take it from the console of Amazon Q Developer in chat applications, such as T012ABCDEFG")
		known("Slack.ChannelID", s.ChannelID, slackChannel, "channel", "take the end of the channel's link, such as C012ABCDEFG")
	}
	if t := p.Teams; t != nil {
		known("Teams.TenantID", t.TenantID, uuid, "tenant", "take tenantId of the channel's link, a UUID")
		known("Teams.TeamID", t.TeamID, uuid, "team", "take groupId of the channel's link, a UUID")
		known("Teams.ChannelID", t.ChannelID, teamsChannel, "channel", "take it from the channel's link as it is there, such as 19%3Aab12...%40thread.tacv2")
	}
}

// newChat makes the channels, and a topic for the notices in them. The service reads
// alarms as CloudWatch sends them, from the topic that everybody gets; notices it takes
// only in a form of its own, which nobody would want as an e-mail, and drops others.
//
// docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html
func (w *Watch) newChat(p *Props) {
	if p.Slack == nil && p.Teams == nil {
		return
	}
	scope := constructs.NewConstruct(w, jsii.String(chatID))
	if w.key == nil {
		w.key = w.newKey(scope)
	}
	w.chat = awssns.NewTopic(scope, jsii.String("Topic"), &awssns.TopicProps{
		DisplayName: jsii.String("Postern, for chat"), MasterKey: w.key, EnforceSSL: jsii.Bool(true),
	})
	// It is for the service alone to take on, and lets it do nothing: what it tells is
	// sent to it.
	role := awsiam.NewRole(scope, jsii.String("Role"), &awsiam.RoleProps{
		Description: jsii.String("What people in a chat channel may have AWS do: nothing"),
		AssumedBy:   awsiam.NewServicePrincipal(jsii.String("chatbot.amazonaws.com"), nil),
	})
	guardrail := awsiam.NewManagedPolicy(scope, jsii.String("Guardrail"), &awsiam.ManagedPolicyProps{
		Description: jsii.String("Whoever is in a chat channel reads, and does nothing"),
		Document:    attach.Document(policy.NothingInChat()),
	})
	name := func(kind string) string {
		return *awscdk.Names_UniqueResourceName(w, &awscdk.UniqueResourceNameOptions{MaxLength: jsii.Number(100), Separator: jsii.String("-")}) + "-" + kind
	}
	common := func(kind string) map[string]any {
		return map[string]any{
			"ConfigurationName": name(kind),
			"IamRoleArn":        *role.RoleArn(),
			"GuardrailPolicies": []string{*guardrail.ManagedPolicyArn()},
			"SnsTopicArns":      []string{*w.topic.TopicArn(), *w.chat.TopicArn()},
			"LoggingLevel":      "ERROR",
			"UserRoleRequired":  false,
		}
	}
	if s := p.Slack; s != nil {
		properties := common("slack")
		properties["SlackWorkspaceId"], properties["SlackChannelId"] = s.WorkspaceID, s.ChannelID
		awscdk.NewCfnResource(scope, jsii.String("Slack"), &awscdk.CfnResourceProps{
			Type: jsii.String("AWS::Chatbot::SlackChannelConfiguration"), Properties: &properties,
		})
	}
	if t := p.Teams; t != nil {
		properties := common("teams")
		properties["TeamsTenantId"], properties["TeamId"], properties["TeamsChannelId"] = t.TenantID, t.TeamID, t.ChannelID
		awscdk.NewCfnResource(scope, jsii.String("Teams"), &awscdk.CfnResourceProps{
			Type: jsii.String("AWS::Chatbot::MicrosoftTeamsChannelConfiguration"), Properties: &properties,
		})
	}
}

// ChatTopic takes the notices in the form for chat channels; nil where Props names no
// channel.
func (w *Watch) ChatTopic() awssns.ITopic {
	if w.chat == nil {
		return nil
	}
	return w.chat
}

// allowChat lets EventBridge rules publish to the topic for chat.
func (w *Watch) allowChat() {
	if w.chat != nil && !attach.ToTopic(w.chat, policy.EventTopicStatements(*w.chat.TopicArn())) {
		panic(fmt.Errorf("watch %q: its own topic takes no statement", *w.Node().Path()))
	}
}
