-- What starts executions from outside, and what came of each arrival.
CREATE TABLE "triggers" (
    "id" TEXT NOT NULL,
    "owner_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "name_key" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "workflow_id" TEXT,
    "enabled" BOOLEAN NOT NULL DEFAULT true,
    "config" JSON NOT NULL,
    "variable_mapping" JSON NOT NULL,
    "webhook_path" TEXT,
    "secret" BYTEA,
    "secret_previous" BYTEA,
    "paused" BOOLEAN NOT NULL DEFAULT false,
    "schedule_hash" TEXT,
    "schedule_look" JSON,
    "last_fired_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "triggers_pkey" PRIMARY KEY ("id")
);

CREATE UNIQUE INDEX "triggers_owner_id_name_key_key" ON "triggers"("owner_id", "name_key");
CREATE UNIQUE INDEX "triggers_webhook_path_key" ON "triggers"("webhook_path");
CREATE INDEX "triggers_owner_id_created_at_id_idx" ON "triggers"("owner_id", "created_at", "id");
CREATE INDEX "triggers_workflow_id_idx" ON "triggers"("workflow_id");
CREATE INDEX "triggers_type_id_idx" ON "triggers"("type", "id");

CREATE TABLE "deliveries" (
    "id" TEXT NOT NULL,
    "owner_id" TEXT NOT NULL,
    "trigger_id" TEXT NOT NULL,
    "outcome" TEXT NOT NULL,
    "reason" TEXT,
    "event_type" TEXT,
    "delivery_id" TEXT,
    "execution_id" TEXT,
    "payload_preview" TEXT,
    "latency_ms" INTEGER NOT NULL,
    "test" BOOLEAN NOT NULL DEFAULT false,
    "dedup_key" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "deliveries_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "deliveries_trigger_id_fkey" FOREIGN KEY ("trigger_id") REFERENCES "triggers"("id") ON DELETE CASCADE ON UPDATE CASCADE
);

CREATE UNIQUE INDEX "deliveries_trigger_id_dedup_key_key" ON "deliveries"("trigger_id", "dedup_key");
CREATE INDEX "deliveries_trigger_id_created_at_id_idx" ON "deliveries"("trigger_id", "created_at", "id");
CREATE INDEX "deliveries_created_at_idx" ON "deliveries"("created_at");
