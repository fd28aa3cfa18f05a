package sender_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/notice"
	"github.com/postern-cdk/postern/internal/notice/sender"
)

const (
	topic = "arn:aws:sns:eu-west-1:111122223333:Topic"
	chat  = "arn:aws:sns:eu-west-1:111122223333:Chat"
)

// fakeTopics keeps what was published, and refuses where it is told to.
type fakeTopics struct {
	refuse    map[string]error
	published []*sns.PublishInput
}

func (f *fakeTopics) Publish(_ context.Context, input *sns.PublishInput, _ ...func(*sns.Options)) (*sns.PublishOutput, error) {
	if err := f.refuse[*input.TopicArn]; err != nil {
		return nil, err
	}
	f.published = append(f.published, input)
	return &sns.PublishOutput{MessageId: aws.String("1")}, nil
}

func environment(chatTopic string) func(string) string {
	return func(name string) string {
		return map[string]string{
			notice.SettingsVariable: `{"timeZone":"Europe/Berlin"}`, notice.TopicVariable: topic, notice.ChatTopicVariable: chatTopic,
		}[name]
	}
}

func payload(t *testing.T) json.RawMessage {
	t.Helper()
	event, err := os.ReadFile("../testdata/tunnel-opened.json")
	require.NoError(t, err)
	return json.RawMessage(strings.Replace(notice.TunnelOpened().FunctionTemplate(), "<aws.events.event.json>", string(event), 1))
}

func TestHandle(t *testing.T) {
	topics := &fakeTopics{}
	s, err := sender.New(environment(chat), topics)
	require.NoError(t, err)
	require.NoError(t, s.Handle(t.Context(), payload(t)))
	require.Len(t, topics.published, 2)
	people, channel := topics.published[0], topics.published[1]
	assert.Equal(t, topic, *people.TopicArn)
	assert.Equal(t, "Tunnel opened", *people.Subject)
	assert.Contains(t, *people.Message, "When: Sunday 2026-11-22 09:15:24 CET (2026-11-22T08:15:24Z).")
	assert.Equal(t, chat, *channel.TopicArn)
	assert.Contains(t, *channel.Message, `"source":"custom"`)

	topics = &fakeTopics{}
	s, err = sender.New(environment(""), topics)
	require.NoError(t, err)
	require.NoError(t, s.Handle(t.Context(), json.RawMessage(`{"lines"`)), "what can't be read is told as it is")
	require.Len(t, topics.published, 1, "no chat topic")
	assert.Contains(t, *topics.published[0].Message, `{"lines"`)
}

// An error has Lambda try again and then keep the event. One topic must not keep the
// other from being told.
func TestHandleFails(t *testing.T) {
	for refused, other := range map[string]string{topic: chat, chat: topic} {
		topics := &fakeTopics{refuse: map[string]error{refused: errors.New("KMSAccessDenied")}}
		s, err := sender.New(environment(chat), topics)
		require.NoError(t, err)
		require.ErrorContains(t, s.Handle(t.Context(), payload(t)), "KMSAccessDenied")
		require.Len(t, topics.published, 1)
		assert.Equal(t, other, *topics.published[0].TopicArn)
	}
}

func TestNewRefuses(t *testing.T) {
	_, err := sender.New(func(string) string { return "" }, nil)
	require.ErrorContains(t, err, "POSTERN_SETTINGS: settings: ")
	_, err = sender.New(func(name string) string { return map[string]string{notice.SettingsVariable: "{}"}[name] }, nil)
	require.ErrorContains(t, err, "POSTERN_TOPIC is empty")
}
