-- CreateTable
CREATE TABLE "users" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "email" TEXT NOT NULL,
    "role" TEXT NOT NULL,
    "groups" TEXT[],
    "slack_user_id" TEXT,
    "disabled" BOOLEAN NOT NULL DEFAULT false,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "users_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "api_keys" (
    "id" TEXT NOT NULL,
    "user_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "role" TEXT NOT NULL,
    "scopes" JSON,
    "hash" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(3),
    "last_used_at" TIMESTAMPTZ(3),

    CONSTRAINT "api_keys_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "workflows" (
    "id" TEXT NOT NULL,
    "owner_id" TEXT NOT NULL,
    "slug" TEXT,
    "name" TEXT NOT NULL,
    "description" TEXT,
    "data" JSON NOT NULL,
    "hash" TEXT NOT NULL,
    "version" TEXT NOT NULL,
    "enabled" BOOLEAN NOT NULL DEFAULT true,
    "tags" TEXT[],
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "deleted_at" TIMESTAMPTZ(3),

    CONSTRAINT "workflows_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "workflow_versions" (
    "workflow_id" TEXT NOT NULL,
    "hash" TEXT NOT NULL,
    "owner_id" TEXT NOT NULL,
    "version" TEXT NOT NULL,
    "data" JSON NOT NULL,
    "source" TEXT NOT NULL,
    "notes" TEXT,
    "created_by" JSON,
    "proposal_id" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "workflow_versions_pkey" PRIMARY KEY ("workflow_id","hash")
);

-- CreateTable
CREATE TABLE "plans" (
    "hash" TEXT NOT NULL,
    "plan_format" INTEGER NOT NULL,
    "data" JSON NOT NULL,
    "plan" JSON NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "plans_pkey" PRIMARY KEY ("hash","plan_format")
);

-- CreateTable
CREATE TABLE "executions" (
    "id" TEXT NOT NULL,
    "owner_id" TEXT NOT NULL,
    "workflow_id" TEXT,
    "workflow_name" TEXT NOT NULL,
    "version" TEXT NOT NULL,
    "hash" TEXT NOT NULL,
    "plan_format" INTEGER NOT NULL,
    "engine_version" INTEGER NOT NULL,
    "status" TEXT NOT NULL,
    "counter" INTEGER NOT NULL DEFAULT 0,
    "trigger_type" TEXT NOT NULL,
    "trigger" JSON NOT NULL,
    "variables" JSON NOT NULL,
    "output" JSON,
    "error" JSON,
    "reason" TEXT,
    "progress" JSON NOT NULL,
    "usage" JSON NOT NULL,
    "session_id" TEXT NOT NULL,
    "parent_execution_id" TEXT,
    "parent_step_id" TEXT,
    "parent_iteration_path" TEXT,
    "parent_attempt" INTEGER,
    "parent_awaited" BOOLEAN NOT NULL DEFAULT false,
    "parent_key" TEXT,
    "rerun_of" TEXT,
    "rerun_step_id" TEXT,
    "rerun_iteration_path" TEXT,
    "depth" INTEGER NOT NULL DEFAULT 0,
    "seeds" JSON,
    "repo" JSON,
    "started_by" JSON,
    "first_execution_run_id" TEXT,
    "halt" BOOLEAN NOT NULL DEFAULT false,
    "cancel_requested_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "started_at" TIMESTAMPTZ(3),
    "completed_at" TIMESTAMPTZ(3),
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "executions_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "streams" (
    "id" TEXT NOT NULL,
    "owner_id" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "session_id" TEXT,
    "next_seq" INTEGER NOT NULL DEFAULT 1,
    "closed_at" TIMESTAMPTZ(3),

    CONSTRAINT "streams_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "events" (
    "stream_id" TEXT NOT NULL,
    "seq" INTEGER NOT NULL,
    "owner_id" TEXT NOT NULL,
    "session_id" TEXT,
    "session_seq" INTEGER,
    "event_key" TEXT NOT NULL,
    "execution_id" TEXT,
    "kind" TEXT NOT NULL,
    "step_id" TEXT,
    "iteration_path" TEXT,
    "attempt" INTEGER,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "data" JSON NOT NULL,

    CONSTRAINT "events_pkey" PRIMARY KEY ("stream_id","seq")
);

-- CreateTable
CREATE TABLE "steps" (
    "execution_id" TEXT NOT NULL,
    "instance_key" TEXT NOT NULL,
    "owner_id" TEXT NOT NULL,
    "step_id" TEXT NOT NULL,
    "iteration_path" TEXT NOT NULL,
    "attempt" INTEGER NOT NULL,
    "type" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "fence" INTEGER NOT NULL DEFAULT 0,
    "holder" TEXT,
    "input" JSON,
    "output" JSON,
    "error" JSON,
    "choice" JSON,
    "warnings" JSON,
    "usage" JSON,
    "model" TEXT,
    "turn_ids" JSON,
    "seeded" BOOLEAN NOT NULL DEFAULT false,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "started_at" TIMESTAMPTZ(3),
    "completed_at" TIMESTAMPTZ(3),

    CONSTRAINT "steps_pkey" PRIMARY KEY ("execution_id","instance_key")
);

-- CreateTable
CREATE TABLE "approvals" (
    "id" TEXT NOT NULL,
    "owner_id" TEXT NOT NULL,
    "execution_id" TEXT,
    "session_id" TEXT NOT NULL,
    "gate_key" TEXT NOT NULL,
    "workflow_name" TEXT,
    "step_id" TEXT,
    "iteration_path" TEXT,
    "attempt" INTEGER,
    "tool_call" JSON,
    "prompt" TEXT,
    "status" TEXT NOT NULL,
    "open_to_team" BOOLEAN NOT NULL DEFAULT false,
    "approvers" TEXT[],
    "quorum" INTEGER NOT NULL DEFAULT 1,
    "form" JSON,
    "decided_by" JSON NOT NULL,
    "decided_at" TIMESTAMPTZ(3),
    "reason" TEXT,
    "answer" JSON,
    "deadline" TIMESTAMPTZ(3),
    "escalated_to" TEXT[],
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "settled_at" TIMESTAMPTZ(3),
    "delivered_at" TIMESTAMPTZ(3),

    CONSTRAINT "approvals_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "votes" (
    "id" TEXT NOT NULL,
    "approval_id" TEXT NOT NULL,
    "owner_id" TEXT NOT NULL,
    "by_id" TEXT NOT NULL,
    "by_name" TEXT NOT NULL,
    "via" TEXT NOT NULL,
    "decision" TEXT NOT NULL,
    "reason" TEXT,
    "answer" JSON,
    "at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "votes_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "commands" (
    "id" TEXT NOT NULL,
    "owner_id" TEXT NOT NULL,
    "target_id" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "payload" JSON NOT NULL,
    "bytes" INTEGER NOT NULL DEFAULT 0,
    "by" JSON NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "delivered_at" TIMESTAMPTZ(3),

    CONSTRAINT "commands_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "idempotency_keys" (
    "owner_id" TEXT NOT NULL,
    "door" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "body_hash" TEXT NOT NULL,
    "result_id" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(3),

    CONSTRAINT "idempotency_keys_pkey" PRIMARY KEY ("owner_id","door","key")
);

-- CreateTable
CREATE TABLE "values" (
    "id" TEXT NOT NULL,
    "owner_id" TEXT NOT NULL,
    "sha256" TEXT NOT NULL,
    "bytes" INTEGER NOT NULL,
    "body" TEXT NOT NULL,
    "preview" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "values_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "sessions" (
    "id" TEXT NOT NULL,
    "owner_id" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "title" TEXT NOT NULL,
    "execution_id" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "archived_at" TIMESTAMPTZ(3),

    CONSTRAINT "sessions_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "messages" (
    "id" TEXT NOT NULL,
    "owner_id" TEXT NOT NULL,
    "session_id" TEXT NOT NULL,
    "seq" INTEGER NOT NULL,
    "role" TEXT NOT NULL,
    "author" TEXT NOT NULL,
    "parts" JSON NOT NULL,
    "thread" TEXT NOT NULL,
    "turn" JSON,
    "dedup_key" TEXT,
    "execution_id" TEXT,
    "step_id" TEXT,
    "iteration_path" TEXT,
    "attempt" INTEGER,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "messages_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "audit_log" (
    "id" TEXT NOT NULL,
    "owner_id" TEXT NOT NULL,
    "actor" JSON NOT NULL,
    "action" TEXT NOT NULL,
    "target_type" TEXT NOT NULL,
    "target_id" TEXT,
    "details" JSON NOT NULL,
    "request_id" TEXT,
    "at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "audit_log_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "secrets" (
    "owner_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "nonce" BYTEA NOT NULL,
    "ciphertext" BYTEA NOT NULL,
    "tag" BYTEA NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "secrets_pkey" PRIMARY KEY ("owner_id","name")
);

-- CreateIndex
CREATE UNIQUE INDEX "users_email_key" ON "users"("email");

-- CreateIndex
CREATE UNIQUE INDEX "users_slack_user_id_key" ON "users"("slack_user_id");

-- CreateIndex
CREATE UNIQUE INDEX "api_keys_hash_key" ON "api_keys"("hash");

-- CreateIndex
CREATE INDEX "api_keys_user_id_idx" ON "api_keys"("user_id");

-- CreateIndex
CREATE INDEX "workflows_owner_id_created_at_id_idx" ON "workflows"("owner_id", "created_at", "id");

-- CreateIndex
CREATE UNIQUE INDEX "workflows_owner_id_slug_key" ON "workflows"("owner_id", "slug");

-- CreateIndex
CREATE INDEX "workflow_versions_workflow_id_created_at_idx" ON "workflow_versions"("workflow_id", "created_at");

-- CreateIndex
CREATE UNIQUE INDEX "executions_parent_key_key" ON "executions"("parent_key");

-- CreateIndex
CREATE INDEX "executions_status_owner_id_idx" ON "executions"("status", "owner_id");

-- CreateIndex
CREATE INDEX "executions_owner_id_created_at_id_idx" ON "executions"("owner_id", "created_at", "id");

-- CreateIndex
CREATE INDEX "executions_workflow_id_created_at_id_idx" ON "executions"("workflow_id", "created_at", "id");

-- CreateIndex
CREATE INDEX "executions_parent_execution_id_idx" ON "executions"("parent_execution_id");

-- CreateIndex
CREATE INDEX "executions_rerun_of_idx" ON "executions"("rerun_of");

-- CreateIndex
CREATE INDEX "executions_session_id_idx" ON "executions"("session_id");

-- CreateIndex
CREATE UNIQUE INDEX "events_stream_id_event_key_key" ON "events"("stream_id", "event_key");

-- CreateIndex
CREATE UNIQUE INDEX "events_session_id_session_seq_key" ON "events"("session_id", "session_seq");

-- CreateIndex
CREATE UNIQUE INDEX "approvals_gate_key_key" ON "approvals"("gate_key");

-- CreateIndex
CREATE INDEX "approvals_execution_id_idx" ON "approvals"("execution_id");

-- CreateIndex
CREATE INDEX "approvals_owner_id_created_at_id_idx" ON "approvals"("owner_id", "created_at", "id");

-- CreateIndex
CREATE INDEX "approvals_status_deadline_idx" ON "approvals"("status", "deadline");

-- CreateIndex
CREATE UNIQUE INDEX "votes_approval_id_by_id_key" ON "votes"("approval_id", "by_id");

-- CreateIndex
CREATE INDEX "commands_target_id_kind_idx" ON "commands"("target_id", "kind");

-- CreateIndex
CREATE INDEX "commands_delivered_at_created_at_idx" ON "commands"("delivered_at", "created_at");

-- CreateIndex
CREATE INDEX "idempotency_keys_expires_at_idx" ON "idempotency_keys"("expires_at");

-- CreateIndex
CREATE UNIQUE INDEX "values_owner_id_sha256_key" ON "values"("owner_id", "sha256");

-- CreateIndex
CREATE INDEX "sessions_owner_id_created_at_id_idx" ON "sessions"("owner_id", "created_at", "id");

-- CreateIndex
CREATE UNIQUE INDEX "messages_session_id_seq_key" ON "messages"("session_id", "seq");

-- CreateIndex
CREATE UNIQUE INDEX "messages_session_id_dedup_key_key" ON "messages"("session_id", "dedup_key");

-- CreateIndex
CREATE INDEX "audit_log_at_id_idx" ON "audit_log"("at", "id");

-- AddForeignKey
ALTER TABLE "votes" ADD CONSTRAINT "votes_approval_id_fkey" FOREIGN KEY ("approval_id") REFERENCES "approvals"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- What the reconciler looks for every few seconds, however long the history is. (Prisma's schema cannot say this, and does not miss it.)
CREATE INDEX "approvals_undelivered_idx" ON "approvals"("settled_at") WHERE "delivered_at" IS NULL AND "status" <> 'pending';

-- Rows that are updated often and in place: room on the page keeps the updates out of the indexes.
ALTER TABLE "executions" SET (fillfactor = 70);
ALTER TABLE "streams" SET (fillfactor = 50);
ALTER TABLE "steps" SET (fillfactor = 80);
