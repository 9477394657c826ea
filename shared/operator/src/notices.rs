//! By what the functions tell, so that what an operator does reaches everybody who had the notice: with the
//! operator's credentials, since the functions do not run then.

use aws_config::SdkConfig;
use remediation::category::Category;
use remediation::config::Config;
use remediation::notify::Notices;

use crate::access::Access;
use crate::deployment::Deployed;
use crate::output;

/// The channels of a function with these settings. `stack`: the credentials for the account of the stack.
pub(crate) fn of(config: &Config, stack: &SdkConfig) -> Notices {
    let sns = aws_sdk_sns::Client::new(stack);
    Notices::new(sns, config.topic_arn.clone()).with(&config.notices, stack)
}

/// The channels of the deployed function. `None`: they are not known, and the operator has read why nobody is
/// notified.
pub(crate) async fn deployed(
    stack: &SdkConfig,
    access: &Access,
    category: Category,
) -> std::io::Result<Option<Notices>> {
    if access.stack.is_none() {
        output::note("no notice will be sent: its channels are known only with --stack")?;
        return Ok(None);
    }
    match config(stack, access, category).await {
        Ok(config) => Ok(Some(of(&config, stack))),
        Err(error) => {
            output::complain(&format!(
                "no notice is sent, because the settings of the {category} function could not be read: {error}; \
                 inform the on-call engineer yourself"
            ));
            Ok(None)
        }
    }
}

/// The settings of the deployed function as they are now.
pub(crate) async fn config(
    stack: &SdkConfig,
    access: &Access,
    category: Category,
) -> Result<Config, Box<dyn std::error::Error>> {
    let deployment = access.deployment(stack).await?;
    let lambda = aws_sdk_lambda::Client::new(stack);
    let deployed = Deployed::of(&lambda, deployment.function(category)?).await?;
    Ok(Config::from_variables(&deployed.variables))
}
