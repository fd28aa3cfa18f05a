package notice

// Program is the folder below bin of the function, and the name of its file.
const Program = "postern-notice"

// Environment variables of the function.
const (
	// SettingsVariable has [Settings] as JSON.
	SettingsVariable = "POSTERN_SETTINGS"
	// TopicVariable is the ARN of the topic for people.
	TopicVariable = "POSTERN_TOPIC"
	// ChatTopicVariable is the ARN of that for chat channels, or empty.
	ChatTopicVariable = "POSTERN_CHAT_TOPIC"
)
