export { createSlackNotifier } from './notifier.js';
export { connectSlack, createSlackClient, type SlackClient } from './slack-client.js';
