/*
 * catalog.h: what training asks of the catalog beyond idla.h.
 */
#ifndef IDLA_CATALOG_H
#define IDLA_CATALOG_H

#include "idla.h"

/*
 * Everything that can be refused before training: the name is taken, the
 * caller may not train or deploy or create, the transaction is read-only. InvalidOid when the model is new.
 */
extern Oid	idla_model_prepare(const char *name, bool deploy, const char *command);

#endif							/* IDLA_CATALOG_H */
