-- CreateTable
CREATE TABLE "gate_nudges" (
    "approval_id" TEXT NOT NULL,
    "ordinal" INTEGER NOT NULL,
    "owner_id" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "to" TEXT[],
    "due_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "gate_nudges_pkey" PRIMARY KEY ("approval_id","ordinal")
);

-- CreateTable
CREATE TABLE "gate_posts" (
    "id" TEXT NOT NULL,
    "approval_id" TEXT NOT NULL,
    "owner_id" TEXT NOT NULL,
    "post_key" TEXT NOT NULL,
    "cause" TEXT NOT NULL,
    "target" TEXT NOT NULL,
    "channel" TEXT,
    "ts" TEXT,
    "wanted" INTEGER NOT NULL DEFAULT 1,
    "shown" INTEGER NOT NULL DEFAULT 0,
    "due_at" TIMESTAMPTZ(3),
    "lease_until" TIMESTAMPTZ(3),
    "claims" INTEGER NOT NULL DEFAULT 0,
    "failures" INTEGER NOT NULL DEFAULT 0,
    "failure" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "gate_posts_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "gate_nudges_due_at_idx" ON "gate_nudges"("due_at");

-- CreateIndex
CREATE UNIQUE INDEX "gate_posts_approval_id_post_key_key" ON "gate_posts"("approval_id", "post_key");

-- CreateIndex
CREATE INDEX "gate_posts_due_at_idx" ON "gate_posts"("due_at");

-- CreateIndex
CREATE INDEX "gate_posts_channel_ts_idx" ON "gate_posts"("channel", "ts");

-- AddForeignKey
ALTER TABLE "gate_nudges" ADD CONSTRAINT "gate_nudges_approval_id_fkey" FOREIGN KEY ("approval_id") REFERENCES "approvals"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "gate_posts" ADD CONSTRAINT "gate_posts_approval_id_fkey" FOREIGN KEY ("approval_id") REFERENCES "approvals"("id") ON DELETE CASCADE ON UPDATE CASCADE;
