-- Who an agent can be, and what the tools of an owner's agents may do.
CREATE TABLE "personas" (
    "owner_id" TEXT NOT NULL,
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "name_key" TEXT NOT NULL,
    "prompt" TEXT NOT NULL,
    "model" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "personas_pkey" PRIMARY KEY ("owner_id","id")
);

CREATE UNIQUE INDEX "personas_owner_id_name_key_key" ON "personas"("owner_id", "name_key");

CREATE TABLE "tool_policies" (
    "owner_id" TEXT NOT NULL,
    "policies" JSON NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "tool_policies_pkey" PRIMARY KEY ("owner_id")
);
