-- Tickets for one WebSocket each: the secret's SHA-256, and the key whose rights it carries.
CREATE TABLE "ws_tickets" (
    "hash" TEXT NOT NULL,
    "owner_id" TEXT NOT NULL,
    "key_id" TEXT NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "ws_tickets_pkey" PRIMARY KEY ("hash")
);

CREATE INDEX "ws_tickets_expires_at_idx" ON "ws_tickets"("expires_at");

-- Gates of a conversation, which belong to no execution, are looked up by their session.
CREATE INDEX "approvals_session_id_idx" ON "approvals"("session_id");
