"""The documents of the platform's reference that tests send, word for word as a client would."""

VARIANTS = """
query Variants($first: Int!, $after: String, $q: String) {
  productVariants(first: $first, after: $after, query: $q, sortKey: ID) {
    nodes {
      id sku barcode price compareAtPrice inventoryPolicy inventoryQuantity updatedAt
      product { id title status }
      inventoryItem { id sku tracked unitCost { amount currencyCode } }
    }
    pageInfo { hasNextPage endCursor }
  }
}
"""

LEVELS = """
query Levels($id: ID!) {
  inventoryItem(id: $id) {
    id sku tracked
    inventoryLevels(first: 50) {
      nodes {
        id updatedAt isActive
        location { id name isActive fulfillsOnlineOrders }
        quantities(names: ["available", "on_hand", "committed", "incoming", "reserved"]) { name quantity updatedAt }
      }
      pageInfo { hasNextPage endCursor }
    }
  }
}
"""

LOCATIONS = """
query Locations {
  locations(first: 50) {
    nodes { id name isActive fulfillsOnlineOrders }
    pageInfo { hasNextPage endCursor }
  }
}
"""

DISCOUNTS = """
query Discounts($after: String) {
  discountNodes(first: 100, after: $after, query: "status:active") {
    nodes { id discount { __typename
      ... on DiscountCodeBasic { title status startsAt endsAt usageLimit asyncUsageCount
        codes(first: 5) { nodes { code } }
        minimumRequirement {
          ... on DiscountMinimumSubtotal { greaterThanOrEqualToSubtotal { amount currencyCode } }
          ... on DiscountMinimumQuantity { greaterThanOrEqualToQuantity } }
        customerGets {
          value {
            ... on DiscountPercentage { percentage }
            ... on DiscountAmount { amount { amount currencyCode } appliesOnEachItem } }
          items {
            ... on AllDiscountItems { allItems }
            ... on DiscountProducts {
              products(first: 50) { nodes { id } }
              productVariants(first: 50) { nodes { id } } } } } }
      ... on DiscountAutomaticBasic { title status startsAt endsAt } } }
    pageInfo { hasNextPage endCursor }
  }
}
"""

ORDERS = """
query Orders($after: String) {
  orders(
    first: 100, after: $after, query: "created_at:>='2026-10-01' AND test:false", sortKey: CREATED_AT
  ) {
    nodes { id name createdAt processedAt updatedAt cancelledAt test displayFinancialStatus displayFulfillmentStatus
      lineItems(first: 50) { nodes {
        id sku quantity currentQuantity variant { id }
        discountedUnitPriceSet { shopMoney { amount currencyCode } }
        discountedUnitPriceAfterAllDiscountsSet { shopMoney { amount currencyCode } } } } }
    pageInfo { hasNextPage endCursor }
  }
}
"""

SET_STOCK = """
mutation SetStock($input: InventorySetQuantitiesInput!, $key: String!) {
  inventorySetQuantities(input: $input) @idempotent(key: $key) {
    inventoryAdjustmentGroup { id createdAt reason referenceDocumentUri
      changes { name delta quantityAfterChange item { id } location { id } } }
    userErrors { field message code }
  }
}
"""

SET_STOCK_WITHOUT_KEY = """
mutation SetStock($input: InventorySetQuantitiesInput!) {
  inventorySetQuantities(input: $input) {
    inventoryAdjustmentGroup { id }
    userErrors { field message code }
  }
}
"""

ADJUST_STOCK = """
mutation AdjustStock($input: InventoryAdjustQuantitiesInput!, $key: String!) {
  inventoryAdjustQuantities(input: $input) @idempotent(key: $key) {
    inventoryAdjustmentGroup { id changes { name delta ledgerDocumentUri } }
    userErrors { field message code }
  }
}
"""

ACTIVATE = """
mutation Activate($item: ID!, $location: ID!, $available: Int, $key: String!) {
  inventoryActivate(inventoryItemId: $item, locationId: $location, available: $available) @idempotent(key: $key) {
    inventoryLevel { id quantities(names: ["available"]) { quantity } }
    userErrors { field message }
  }
}
"""

PRICES = """
mutation Prices($productId: ID!, $variants: [ProductVariantsBulkInput!]!, $partial: Boolean = false) {
  productVariantsBulkUpdate(productId: $productId, variants: $variants, allowPartialUpdates: $partial) {
    productVariants { id sku price compareAtPrice updatedAt }
    userErrors { field message code }
  }
}
"""

SUBSCRIBE = """
mutation Subscribe($topic: WebhookSubscriptionTopic!, $sub: WebhookSubscriptionInput!) {
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: $sub) {
    webhookSubscription { id topic uri format apiVersion { handle } filter includeFields }
    userErrors { field message }
  }
}
"""

RUN_BULK = """
mutation Run($query: String!, $grouped: Boolean! = false) {
  bulkOperationRunQuery(query: $query, groupObjects: $grouped) {
    bulkOperation { id status }
    userErrors { field message code }
  }
}
"""

BULK_STATUS = """
query Bulk($id: ID!) {
  bulkOperation(id: $id) {
    id status errorCode createdAt completedAt objectCount rootObjectCount fileSize url partialDataUrl type
  }
}
"""
