export { createSlackNotifier } from './notifier.js';
export { connectSlack, type SlackClient } from './slack-client.js';
