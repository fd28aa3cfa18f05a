// Package sender is the function that rules call where somebody has said what is
// usual: it puts a message into words, says what is not usual in it, and sends it to
// the topics. What it can't send it gives back as an error, so that Lambda tries again
// and then keeps the event.
package sender

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/postern-cdk/postern/internal/notice"
)

// Publisher is as much of SNS as is needed.
type Publisher interface {
	Publish(ctx context.Context, input *sns.PublishInput, options ...func(*sns.Options)) (*sns.PublishOutput, error)
}

// Sender tells people.
type Sender struct {
	judge       *notice.Judge
	topic, chat string
	sns         Publisher
}

// New makes a sender of what the environment says.
func New(env func(string) string, publisher Publisher) (*Sender, error) {
	judge, err := notice.ReadJudge(env(notice.SettingsVariable))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", notice.SettingsVariable, err)
	}
	if env(notice.TopicVariable) == "" {
		return nil, errors.New(notice.TopicVariable + " is empty")
	}
	return &Sender{judge: judge, topic: env(notice.TopicVariable), chat: env(notice.ChatTopicVariable), sns: publisher}, nil
}

// Handle tells of one event. It may come again, and is then told again: twice is
// better than never.
func (s *Sender) Handle(ctx context.Context, payload json.RawMessage) error {
	m := s.judge.Message(payload)
	_, err := s.sns.Publish(ctx, &sns.PublishInput{TopicArn: &s.topic, Subject: &m.Subject, Message: &m.Text})
	if err != nil {
		err = fmt.Errorf("topic: %w", err)
	}
	if s.chat == "" {
		return err
	}
	_, chatErr := s.sns.Publish(ctx, &sns.PublishInput{TopicArn: &s.chat, Message: aws.String(m.Chat)})
	if chatErr != nil {
		chatErr = fmt.Errorf("chat topic: %w", chatErr)
	}
	return errors.Join(err, chatErr)
}
