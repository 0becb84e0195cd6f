-- A turn is a message of the model's: its id, which model call it is a try of, whether something may follow, what the provider said,
-- and, in a conversation, the message that it answers.
ALTER TABLE "messages" ADD COLUMN "turn_id" TEXT;
ALTER TABLE "messages" ADD COLUMN "turn_call" TEXT;
ALTER TABLE "messages" ADD COLUMN "turn_open" BOOLEAN NOT NULL DEFAULT false;
ALTER TABLE "messages" ADD COLUMN "replay" JSON;
ALTER TABLE "messages" ADD COLUMN "reply_to" TEXT;

CREATE UNIQUE INDEX "messages_turn_id_key" ON "messages"("turn_id");
CREATE INDEX "messages_session_id_turn_call_idx" ON "messages"("session_id", "turn_call");
CREATE INDEX "messages_execution_id_step_id_idx" ON "messages"("execution_id", "step_id");

-- What is closed when a step or an execution ends. (Prisma's schema cannot say this, and does not miss it.)
CREATE INDEX "messages_open_turns_idx" ON "messages"("execution_id") WHERE "turn_open";
CREATE INDEX "messages_open_session_turns_idx" ON "messages"("session_id") WHERE "turn_open";
-- Rewritten while they stream.
ALTER TABLE "messages" SET (fillfactor = 80);

-- Who may write the turns of a model call: the last that claimed it.
CREATE TABLE "turn_calls" (
    "session_id" TEXT NOT NULL,
    "call" TEXT NOT NULL,
    "owner_id" TEXT NOT NULL,
    "execution_id" TEXT,
    "fence" INTEGER NOT NULL DEFAULT 1,

    CONSTRAINT "turn_calls_pkey" PRIMARY KEY ("session_id", "call")
);
